-- What a page of the history shows, in order of time too: the newest rows are the end of it, where in the order of the id those
-- of one page are spread over all of their week. It is a part of its part: stored with it, merged, expired and deleted with it.
-- Its rows are made anew whenever a merge or a delete may leave one out.
ALTER TABLE predictions_raw MODIFY SETTING deduplicate_merge_projection_mode = 'rebuild', lightweight_mutation_projection_mode = 'rebuild';

ALTER TABLE predictions_raw ADD PROJECTION IF NOT EXISTS by_time
(
    SELECT
        tenant,
        captured_at,
        id,
        frame_id,
        source,
        sequence,
        accepted_at,
        completed_at,
        status,
        stage,
        reason,
        detail,
        model,
        version,
        fallback_for,
        task,
        image_width,
        image_height,
        labels.label,
        labels.score,
        detections.label,
        detections.score,
        detections.x1,
        detections.y1,
        detections.x2,
        detections.y2,
        timings_ms,
        cached,
        trace_id
    ORDER BY tenant, captured_at, id
);

-- Of the rows that are there, in the background: until then they are read as before.
ALTER TABLE predictions_raw MATERIALIZE PROJECTION by_time;
