-- Classes that no camera had seen before the last hours, and which saw them first.
-- hours = 24
WITH toStartOfHour(now()) - toIntervalHour({hours:UInt32}) AS since
SELECT label, model, first AS first_seen, by_source, times
FROM
(
    SELECT label, model, min(first_seen) AS first, argMin(source, first_seen) AS by_source
    FROM labels_first_seen
    GROUP BY label, model
    HAVING first >= since
) AS new
INNER JOIN
(
    SELECT label, model, sum(n) AS times
    FROM labels_by_hour
    WHERE bucket >= since
    GROUP BY label, model
) AS seen USING (label, model)
ORDER BY first, label
