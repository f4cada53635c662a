-- The share of each class in what a camera's model said, this week beside the week before; what changed most first.
-- days = 7
WITH toStartOfHour(now()) - toIntervalDay({days:UInt16}) AS since
SELECT source, model, label, sumIf(n, bucket >= since) AS now_n, sumIf(n, bucket < since) AS before_n,
    round(now_n / greatest(sum(now_n) OVER (PARTITION BY source, model), 1), 4) AS now_share,
    round(before_n / greatest(sum(before_n) OVER (PARTITION BY source, model), 1), 4) AS before_share
FROM labels_by_hour
WHERE bucket >= since - toIntervalDay({days:UInt16})
GROUP BY source, model, label
ORDER BY abs(now_share - before_share) DESC, source, model, label
LIMIT 50
