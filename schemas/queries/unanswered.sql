-- What got no answer in the last days: how many, where it ended and why.
-- days = 7
SELECT source, model, status, stage, reason, sum(n) AS frames
FROM outcomes_by_hour
WHERE status != 'ok' AND bucket >= now() - toIntervalDay({days:UInt16})
GROUP BY source, model, status, stage, reason
ORDER BY frames DESC
LIMIT 100
