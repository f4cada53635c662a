-- The share of the last days' minutes in which a camera sent anything.
-- days = 7
WITH (SELECT max(bucket) FROM outcomes_by_minute) AS last
SELECT source, uniqExact(bucket) AS minutes, round(100 * minutes / ({days:UInt16} * 1440), 2) AS percent
FROM outcomes_by_minute
WHERE bucket > last - toIntervalDay({days:UInt16})
GROUP BY source
ORDER BY percent, source
