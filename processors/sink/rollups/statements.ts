/** The SQL of a pass. Every statement takes {until:UInt32}, seconds since the epoch: rows accepted before it count, from `From` on. */

/** Seconds since the epoch, at a whole hour: what is older may have expired, of everybody and of tenants whose data is kept otherwise. */
export interface From {
  readonly usual: number;
  /** Nothing in their names needs quoting (schemas/roles.ts). */
  readonly tenants: ReadonlyMap<string, number>;
}

const keys = 'tenant, source, model, version, status, stage, reason';
const columns = `bucket, ${keys}, n, fingerprint, latency_ms_sum, latency_bins, scored, score_sum, boxes, pass`;

/** What a DateTime cannot hold counts in its first second; what lies after `until` is filtered before it could wrap around. */
const at = `greatest(accepted_at, toDateTime64(0, 3, 'UTC'))`;
const inSpan = (from: From): string => `accepted_at < toDateTime({until:UInt32}, 'UTC') AND ${notExpired(at, from)}`;
const bucketInSpan = (from: From): string => `bucket < toDateTime({until:UInt32}, 'UTC') AND ${notExpired('bucket', from)}`;

function notExpired(time: string, { usual, tenants }: From): string {
  const own = [...tenants].map(([tenant, since]) => `tenant = '${tenant}', ${since}`);
  const since = (seconds: number | string): string => `${time} >= toDateTime(toUInt32(${seconds}), 'UTC')`;
  return own.length === 0 ? since(usual) : `${since(Math.min(usual, ...tenants.values()))} AND ${since(`multiIf(${own.join(', ')}, ${usual})`)}`;
}
/** Of one version of a row: another winner of the same id has been inserted or completed at another time, or ranks otherwise. */
const fingerprint = 'cityHash64(id, rank, accepted_at, completed_at, inserted_at)';
/** Written into the text, which travels as a body: parameters travel in the URL, whose length servers bound. */
const inHours = (time: string, hours: readonly number[]): string => `toUInt32(toStartOfHour(${time})) IN (${hours.join(', ')})`;

/** The same of a row's own time, so that only the weeks of these hours are read. The first second also stands for what lies before it. */
const near = (hours: readonly number[]): string => {
  const [first, last] = [Math.min(...hours), Math.max(...hours)];
  return `accepted_at < toDateTime(${last + 3600}, 'UTC')${first > 0 ? ` AND accepted_at >= toDateTime(${first}, 'UTC')` : ''}`;
};
/** All repeats of a row lie in one week by now (moved.ts), and a week that is one part needs no merging. */
const weekByWeek = 'SETTINGS do_not_merge_across_partitions_select_final = 1';

/** Each shard of a cluster would else insert what it counts into itself. */
const inserting = `${weekByWeek}, parallel_distributed_insert_select = 0`;

/** The hours whose rows are not those that were counted, newest first, with how many rows there are now. */
export const staleHours = (from: From): string => `
SELECT toUInt32(hour) AS hour, sumIf(n, of = 'rows') AS rows
FROM
(
    SELECT toStartOfHour(${at}) AS hour, 'rows' AS of, count() AS n, sum(${fingerprint}) AS f
    FROM predictions_raw FINAL WHERE ${inSpan(from)} GROUP BY hour
    UNION ALL
    SELECT toStartOfHour(bucket) AS hour, 'minutes', sum(n), sum(fingerprint) FROM rollup_minutes FINAL WHERE ${bucketInSpan(from)} GROUP BY hour
    UNION ALL
    SELECT bucket AS hour, 'hours', sum(n), sum(fingerprint) FROM rollup_hours FINAL WHERE ${bucketInSpan(from)} GROUP BY hour
    UNION ALL
    SELECT bucket AS hour, 'labels', sum(n), sum(fingerprint) FROM rollup_labels FINAL WHERE label = '' AND ${bucketInSpan(from)} GROUP BY hour
)
GROUP BY hour
HAVING ${['minutes', 'hours', 'labels'].map((of) => `rows != sumIf(n, of = '${of}') OR sumIf(f, of = 'rows') != sumIf(f, of = '${of}')`).join(' OR ')}
ORDER BY hour DESC
${weekByWeek}`;

/**
 * What is counted now beside what the table holds. A key that is in both and equal is left out; one that is only held gets
 * n = 0, which is how a row that left a bucket (a dead letter that was answered after all) leaves the rollup too.
 */
const replace = (table: string, hours: readonly number[], from: From, counted: string): string => `
INSERT INTO ${table} (${columns})
SELECT bucket, ${keys}, sum(now_n) AS n, sum(now_f) AS f, sum(latency), sumMap(bins), sum(with_score), sum(scores), sum(all_boxes), {pass:UInt64}
FROM
(
    ${counted}
    UNION ALL
    SELECT bucket, ${keys}, 0, 0, 0, CAST(map(), 'Map(UInt16, UInt64)'), 0, 0, 0, n, fingerprint
    FROM ${table} FINAL WHERE ${bucketInSpan(from)} AND ${inHours('bucket', hours)}
)
GROUP BY bucket, ${keys}
HAVING n != sum(held_n) OR f != sum(held_f)
${inserting}`;

/** `hours` are those to count anew, in seconds since the epoch; here and below. */
export const replaceMinutes = (hours: readonly number[], from: From): string => replace(
  'rollup_minutes',
  hours,
  from,
  `SELECT
        toStartOfMinute(at) AS bucket, tenant, source, model, ifNull(version_of, '') AS version, status, ifNull(stage_of, '') AS stage, ifNull(reason_of, '') AS reason,
        count() AS now_n, sum(f) AS now_f, sum(ms) AS latency, sumMap(map(bin, toUInt64(1))) AS bins,
        countIf(has_score) AS with_score, sumIf(toFloat64(best), has_score) AS scores, sum(n_boxes) AS all_boxes, 0 AS held_n, 0 AS held_f
    FROM
    (
        SELECT
            ${at} AS at, tenant, source, model, version AS version_of, status, stage AS stage_of, reason AS reason_of, ${fingerprint} AS f,
            dateDiff('millisecond', captured_at, completed_at) AS ms,
            if(ms <= 1, 0, toUInt16(ceil(log(ms) / log(1.1)))) AS bin,
            length(detections.score) AS n_boxes,
            notEmpty(labels.score) OR n_boxes > 0 AS has_score,
            arrayMax(arrayConcat(labels.score, detections.score)) AS best
        FROM predictions_raw FINAL
        WHERE ${inSpan(from)} AND ${near(hours)} AND ${inHours(at, hours)}
    )
    GROUP BY bucket, ${keys}`,
);

export const replaceHours = (hours: readonly number[], from: From): string => replace(
  'rollup_hours',
  hours,
  from,
  `SELECT
        toStartOfHour(minute) AS bucket, ${keys}, sum(n) AS now_n, sum(fingerprint) AS now_f, sum(latency_ms_sum) AS latency, sumMap(latency_bins) AS bins,
        sum(scored) AS with_score, sum(score_sum) AS scores, sum(boxes) AS all_boxes, 0 AS held_n, 0 AS held_f
    FROM (SELECT * EXCEPT bucket, bucket AS minute FROM rollup_minutes FINAL WHERE n > 0 AND ${bucketInSpan(from)} AND ${inHours('bucket', hours)})
    GROUP BY bucket, ${keys}`,
);

/** Each class of the hours, and under '' all their rows: by those a pass knows whether the hour was counted. */
export const replaceLabels = (hours: readonly number[], from: From): string => `
INSERT INTO rollup_labels (bucket, tenant, source, model, label, n, score_sum, fingerprint, pass)
SELECT bucket, tenant, source, model, label, sum(now_n) AS n, sum(scores), sum(now_f) AS f, {pass:UInt64}
FROM
(
    SELECT toStartOfHour(at) AS bucket, tenant, source, model, seen.1 AS label, count() AS now_n, sum(toFloat64(seen.2)) AS scores, sum(row_f) AS now_f, 0 AS held_n, 0 AS held_f
    FROM
    (
        SELECT
            ${at} AS at, tenant, source, model, ${fingerprint} AS row_f,
            -- A classifier's best answer alone: the others are what it was not.
            if(notEmpty(labels.score), [(labels.label[indexOf(labels.score, arrayMax(labels.score)) AS best], labels.score[best])], []) AS top,
            arrayPushFront(arrayConcat(top, arrayZip(detections.label, detections.score)), ('', toFloat32(0))) AS found
        FROM predictions_raw FINAL
        WHERE ${inSpan(from)} AND ${near(hours)} AND ${inHours(at, hours)}
    )
    ARRAY JOIN found AS seen
    GROUP BY bucket, tenant, source, model, label
    UNION ALL
    SELECT bucket, tenant, source, model, label, 0, 0, 0, n, fingerprint
    FROM rollup_labels FINAL WHERE ${bucketInSpan(from)} AND ${inHours('bucket', hours)}
)
GROUP BY bucket, tenant, source, model, label
HAVING n != sum(held_n) OR f != sum(held_f)
${inserting}`;
