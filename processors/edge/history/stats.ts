/** Counts, throughput and latency from the rollups; classes and confidence from the rows of the same time. */
import { SaccadeError } from '../../../connectors/errors.ts';
import type { Latency, Stats, StatsQuery } from '../../../schemas/api/stats.ts';
import type { AskStore } from '../store-reader.ts';

const dayMs = 86_400_000;
const minuteMs = 60_000;
const hourMs = 3_600_000;
/** Up to here the series is by minute; beyond, by hour. */
const mostMinutes = 720;

/** Hours are counted whole; what they leave at either end of the time asked for is counted by minute. */
const counted = `
  SELECT bucket, model, version, status, stage, reason, n, latency_ms_sum, latency_bins, scored, score_sum FROM
  (
    SELECT * FROM outcomes_by_hour WHERE bucket >= {first_hour:DateTime('UTC')} AND bucket < {end_hour:DateTime('UTC')}
    UNION ALL
    SELECT * FROM outcomes_by_minute
    WHERE (bucket >= {since:DateTime('UTC')} AND bucket < {until:DateTime('UTC')})
      AND NOT (bucket >= {first_hour:DateTime('UTC')} AND bucket < {end_hour:DateTime('UTC')})
  )
  WHERE tenant = {tenant:String} AND ({source:String} = '' OR source = {source:String}) AND ({model:String} = '' OR model = {model:String})`;

const byModel = `
  SELECT model, version, sumIf(n, status = 'ok') AS ok, sumIf(n, status = 'dropped') AS dropped, sumIf(n, status = 'dead_lettered') AS dead_lettered,
    sumIf(latency_ms_sum, status = 'ok') AS latency_sum, sumMapIf(latency_bins, status = 'ok') AS bins, sum(scored) AS scores, sum(score_sum) AS score_total
  FROM (${counted}) GROUP BY model, version ORDER BY model, version`;
const byEnding = `SELECT status, stage, reason, sum(n) AS count FROM (${counted}) WHERE status != 'ok' GROUP BY status, stage, reason ORDER BY count DESC LIMIT 50`;
const byStep = `
  SELECT toUnixTimestamp(toStartOfInterval(bucket, toIntervalSecond({step:UInt32}))) AS at,
    sumIf(n, status = 'ok') AS ok, sumIf(n, status = 'dropped') AS dropped, sumIf(n, status = 'dead_lettered') AS dead_lettered
  FROM (${counted}) GROUP BY at ORDER BY at`;

const seen = `
  SELECT arrayJoin(if(notEmpty(detections.label), arrayZip(detections.label, detections.score), arraySlice(arrayReverseSort(pair -> pair.2, arrayZip(labels.label, labels.score)), 1, 1))) AS pair
  FROM predictions_raw FINAL
  WHERE status = 'ok' AND tenant = {tenant:String} AND ({source:String} = '' OR source = {source:String}) AND ({model:String} = '' OR model = {model:String})
    AND accepted_at >= {since:DateTime('UTC')} AND accepted_at < {until:DateTime('UTC')}`;
const byClass = `SELECT pair.1 AS label, count() AS count, avg(pair.2) AS mean_score FROM (${seen}) GROUP BY label ORDER BY count DESC, label LIMIT 50`;
const byScore = `SELECT least(9, greatest(0, toInt32(floor(pair.2 * 10)))) AS bin, count() AS count FROM (${seen}) GROUP BY bin ORDER BY bin`;

interface ModelRow {
  readonly model: string;
  readonly version: string | null;
  readonly ok: number;
  readonly dropped: number;
  readonly dead_lettered: number;
  readonly latency_sum: number;
  readonly bins: Readonly<Record<string, number>>;
  readonly scores: number;
  readonly score_total: number;
}

/** Throws bad_request when the time asked for is none, store_unavailable. */
export async function statsOf(tenant: string, query: StatsQuery, { ask, now, startedAt }: { readonly ask: AskStore; readonly now: number; readonly startedAt: number }): Promise<Stats> {
  const until = query.until ?? now;
  const since = query.since ?? until - dayMs;
  if (since >= until) throw new SaccadeError('bad_request', 'query.since: it is not before until.');
  // Buckets are whole minutes: those that the time asked for touches.
  const [first, end] = [Math.floor(since / minuteMs) * minuteMs, Math.ceil(until / minuteMs) * minuteMs];
  const step = end - first <= mostMinutes * minuteMs ? minuteMs : hourMs;
  // By minute, the series needs every bucket by minute.
  const [firstHour, endHour] = step === minuteMs ? [first, first] : [Math.ceil(first / hourMs) * hourMs, Math.floor(end / hourMs) * hourMs];
  // In ten digits: of fewer than five ClickHouse makes no time.
  const seconds = (ms: number): string => String(Math.max(0, Math.floor(ms / 1000))).padStart(10, '0');
  const params = { tenant, source: query.source ?? '', model: query.model ?? '', since: seconds(first), until: seconds(end), first_hour: seconds(firstHour), end_hour: seconds(endHour), step: step / 1000 };

  const [state, models, endings, series, classes, bins] = await Promise.all([
    ask<{ until: number }>('SELECT toUnixTimestamp(until) AS until FROM rollup_state', {}),
    ask<ModelRow>(byModel, params),
    ask<Stats['endings'][number]>(byEnding, params),
    ask<{ at: number; ok: number; dropped: number; dead_lettered: number }>(byStep, params),
    ask<Stats['classes'][number]>(byClass, params),
    ask<{ bin: number; count: number }>(byScore, params),
  ]);
  const countedUntil = state[0] === undefined ? null : state[0].until * 1000;
  const sum = (of: (row: ModelRow) => number): number => models.reduce((total, row) => total + of(row), 0);
  const outcomes = { ok: sum((row) => row.ok), dropped: sum((row) => row.dropped), dead_lettered: sum((row) => row.dead_lettered) };
  const duration = (Math.min(end, countedUntil ?? end) - first) / 1000;
  return {
    since: iso(since),
    until: iso(until),
    counted_until: countedUntil === null ? null : iso(countedUntil),
    uptime_seconds: Math.max(0, Math.floor((now - startedAt) / 1000)),
    outcomes,
    models: models.map((row) => ({
      model: row.model,
      version: row.version,
      ok: row.ok,
      dropped: row.dropped,
      dead_lettered: row.dead_lettered,
      latency_ms: latency(row.ok, row.latency_sum, [row.bins]),
      mean_score: row.scores === 0 ? null : row.score_total / row.scores,
    })),
    endings,
    latency_ms: latency(outcomes.ok, sum((row) => row.latency_sum), models.map((row) => row.bins)),
    throughput: {
      per_second: duration > 0 ? (outcomes.ok + outcomes.dropped + outcomes.dead_lettered) / duration : 0,
      step_seconds: step / 1000,
      series: series.map((one) => ({ ...one, at: iso(one.at * 1000) })),
    },
    classes,
    confidence: Array.from({ length: 10 }, (_, bin) => ({ from: bin / 10, to: (bin + 1) / 10, count: bins.find((one) => one.bin === bin)?.count ?? 0 })),
  };
}

const iso = (ms: number): string => new Date(ms).toISOString();

/** Bin b holds what took more than 1.1^(b-1) and at most 1.1^b milliseconds (schemas/clickhouse/0002_rollups.sql). */
function latency(n: number, sumMs: number, bins: readonly Readonly<Record<string, number>>[]): Latency {
  if (n === 0) return { mean: null, p50: null, p95: null, p99: null };
  const total = new Map<number, number>();
  for (const each of bins) for (const [bin, rows] of Object.entries(each)) total.set(Number(bin), (total.get(Number(bin)) ?? 0) + rows);
  const sorted = [...total].sort(([a], [b]) => a - b);
  const quantile = (share: number): number => {
    let passed = 0;
    for (const [bin, rows] of sorted) if ((passed += rows) >= share * n) return Number((1.1 ** (bin - 0.5)).toFixed(1));
    return 0;
  };
  return { mean: sumMs / n, p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) };
}
