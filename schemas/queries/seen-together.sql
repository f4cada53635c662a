-- Classes that stand in one picture, the most frequent pairs of the last hours first.
-- hours = 24
SELECT pair.1 AS one, pair.2 AS other, count() AS pictures
FROM
(
    SELECT frame_id, arraySort(groupUniqArray(label)) AS found
    FROM detections
    WHERE accepted_at >= now() - toIntervalHour({hours:UInt32})
    GROUP BY frame_id
)
ARRAY JOIN arrayFilter(two -> two.1 < two.2, arrayFlatten([arrayMap(a -> arrayMap(b -> (a, b), found), found)])) AS pair
GROUP BY one, other
ORDER BY pictures DESC, one, other
LIMIT 50
