-- Which phase of the way takes longest, by model: p50 and p99 of the last minutes, slowest first.
-- minutes = 60
SELECT model, phase, count() AS n, round(quantile(0.5)(ms), 1) AS p50_ms, round(quantile(0.99)(ms), 1) AS p99_ms
FROM predictions
ARRAY JOIN mapKeys(timings_ms) AS phase, mapValues(timings_ms) AS ms
WHERE accepted_at >= now() - toIntervalMinute({minutes:UInt32})
GROUP BY model, phase
ORDER BY p99_ms DESC
