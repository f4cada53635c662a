-- Cameras that were seen in the last days and have been silent for minutes by now.
-- days = 7
-- minutes = 15
SELECT source, max(bucket) AS last_minute, dateDiff('minute', last_minute, now()) AS silent_minutes, sum(n) AS frames
FROM outcomes_by_minute
WHERE bucket >= now() - toIntervalDay({days:UInt16})
GROUP BY source
HAVING silent_minutes >= {minutes:UInt32}
ORDER BY silent_minutes DESC
