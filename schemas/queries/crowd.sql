-- How many of a class a camera has seen at once, at most and on average, by hour of the last days; hours without a picture show as 0.
-- days = 1
-- label = person
SELECT toStartOfHour(captured_at) AS hour, max(at_once) AS most, round(avg(at_once), 2) AS average
FROM
(
    SELECT frame_id, any(captured_at) AS captured_at, count() AS at_once
    FROM detections
    WHERE label = {label:String} AND accepted_at >= now() - toIntervalDay({days:UInt16})
    GROUP BY frame_id
)
GROUP BY hour
ORDER BY hour WITH FILL STEP toIntervalHour(1)
