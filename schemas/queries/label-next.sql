-- Frames to label next: those whose best answer is least sure, no more than a few of one camera.
-- hours = 24
-- low = 0.25
-- high = 0.5
SELECT frame_id, source, captured_at, model, label, round(score, 3) AS confidence
FROM predictions
WHERE accepted_at >= now() - toIntervalHour({hours:UInt32}) AND score BETWEEN {low:Float32} AND {high:Float32}
ORDER BY abs(score - ({low:Float32} + {high:Float32}) / 2), frame_id
LIMIT 5 BY source
LIMIT 100
