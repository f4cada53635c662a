-- Classes that no camera had seen before the last hours, and which saw them first.
-- hours = 24
SELECT label, model, min(bucket) AS first_seen, argMin(source, bucket) AS by_source, sum(n) AS times
FROM labels_by_hour
GROUP BY label, model
HAVING first_seen >= toStartOfHour(now()) - toIntervalHour({hours:UInt32})
ORDER BY first_seen, label
