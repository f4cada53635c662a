-- The camera that sent most in each hour of the last days.
-- days = 7
SELECT bucket, argMax(source, seen) AS busiest, max(seen) AS frames
FROM (SELECT bucket, source, sum(n) AS seen FROM outcomes_by_hour WHERE bucket >= now() - toIntervalDay({days:UInt16}) GROUP BY bucket, source)
GROUP BY bucket
ORDER BY bucket
