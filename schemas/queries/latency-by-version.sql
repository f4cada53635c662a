-- From capture to completion, by model and version: p50, p95 and p99 of the last days, within 5 %.
-- days = 30
SELECT model, version, answers, arrayMap(q -> round(pow(1.1, bins.1[arrayFirstIndex(c -> c >= q * answers, arrayCumSum(bins.2))] - 0.5), 1), [0.5, 0.95, 0.99]) AS p50_p95_p99_ms
FROM
(
    SELECT model, version, sum(n) AS answers, sumMap(mapKeys(latency_bins), mapValues(latency_bins)) AS bins
    FROM outcomes_by_hour
    WHERE status = 'ok' AND bucket >= now() - toIntervalDay({days:UInt16})
    GROUP BY model, version
)
ORDER BY model, version
