/** Counts, throughput and latency from the rollups; classes and confidence from the rows of the same time. */
import { SaccadeError } from '../../../connectors/errors.ts';
import type { Latency, Stats, StatsQuery } from '../../../schemas/api/stats.ts';
import { type AskStore, remembered } from '../store-reader.ts';

const dayMs = 86_400_000;
const minuteMs = 60_000;
const hourMs = 3_600_000;
/** Up to here the series is by minute; beyond, by hour. */
const mostMinutes = 720;

type Asked = Pick<StatsQuery, 'source' | 'model'>;
/** Only what is asked: a condition that holds for all is planned too. */
const wanted = ({ source, model }: Asked): string => `tenant = {tenant:String}${source === undefined ? '' : ' AND source = {source:String}'}${model === undefined ? '' : ' AND model = {model:String}'}`;

/** How far the rollups go. Asked for itself and given to the next: within it, it is worked out for each table. */
const state = 'SELECT toUnixTimestamp(until) AS until FROM rollup_state';

/**
 * Hours are counted whole; what they leave at either end of the time asked for is counted by minute. The tables and not the views
 * over them, which work out more than is asked: a third of the time. As there, nothing counts beyond the last pass that ended.
 */
const buckets = (table: string, span: string, asked: Asked): string => `
  SELECT bucket, model, version, status, stage, reason, n, latency_ms_sum, latency_bins, scored, score_sum FROM ${table} FINAL WHERE ${span} AND ${wanted(asked)}`;
const counted = (asked: Asked): string => `
  ${buckets('rollup_hours', `bucket >= {first_hour:DateTime('UTC')} AND bucket < least({end_hour:DateTime('UTC')}, toStartOfHour({reach:DateTime('UTC')}))`, asked)}
  UNION ALL
  ${buckets('rollup_minutes', `bucket >= {since:DateTime('UTC')} AND bucket < least({until:DateTime('UTC')}, {reach:DateTime('UTC')}) AND NOT (bucket >= {first_hour:DateTime('UTC')} AND bucket < {end_hour:DateTime('UTC')})`, asked)}`;

/** One reading of them for all that is told: by model and version, by how it ended, by step. A bucket that everything left stays there with n = 0. */
const counts = (asked: Asked): string => `
  SELECT multiIf(grouping(model) = 0, 'model', grouping(status) = 0, 'ending', 'step') AS by, model, version, status, stage, reason,
    toUnixTimestamp(toStartOfInterval(bucket, toIntervalSecond({step:UInt32}))) AS at, sum(n) AS count,
    sumIf(n, status = 'ok') AS ok, sumIf(n, status = 'dropped') AS dropped, sumIf(n, status = 'dead_lettered') AS dead_lettered,
    sumIf(latency_ms_sum, status = 'ok') AS latency_sum, sumMapIf(latency_bins, status = 'ok') AS bins, sum(scored) AS scores, sum(score_sum) AS score_total
  FROM (${counted(asked)}) GROUP BY GROUPING SETS ((model, version), (status, stage, reason), (at)) HAVING count > 0 ORDER BY model, version, at, count DESC ${remembered}`;

/** Of a classifier. */
const best = 'indexOf(labels.score, arrayMax(labels.score))';
/**
 * One reading of the rows for classes and confidence. By PREWHERE the rows of that time alone are merged by FINAL, not those of its
 * weeks. Names and scores side by side, not in pairs: pairs are built anew for every box.
 */
const seen = (asked: Asked): string => `
  SELECT if(grouping(label) = 0, 'label', 'bin') AS by, label, least(9, greatest(0, toInt32(floor(score * 10)))) AS bin, count() AS count, avg(score) AS mean_score
  FROM predictions_raw FINAL
  ARRAY JOIN
    if(notEmpty(detections.label), detections.label, arraySlice(labels.label, ${best}, 1)) AS label,
    if(notEmpty(detections.label), detections.score, arraySlice(labels.score, ${best}, 1)) AS score
  PREWHERE accepted_at >= {since:DateTime('UTC')} AND accepted_at < {until:DateTime('UTC')}
  WHERE status = 'ok' AND ${wanted(asked)}
  GROUP BY GROUPING SETS ((label), (bin)) ORDER BY count DESC, label ${remembered}`;
const mostListed = 50;

interface CountRow {
  readonly by: 'model' | 'ending' | 'step';
  readonly model: string;
  readonly version: string;
  readonly status: Stats['endings'][number]['status'];
  readonly stage: string;
  readonly reason: string;
  readonly at: number;
  readonly count: number;
  readonly ok: number;
  readonly dropped: number;
  readonly dead_lettered: number;
  readonly latency_sum: number;
  readonly bins: Readonly<Record<string, number>>;
  readonly scores: number;
  readonly score_total: number;
}

interface SeenRow {
  readonly by: 'label' | 'bin';
  readonly label: string;
  readonly bin: number;
  readonly count: number;
  readonly mean_score: number;
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
  const { source, model } = query;
  const rowsOf = { tenant, ...(source !== undefined && { source }), ...(model !== undefined && { model }), since: seconds(first), until: seconds(end) };
  const rollups = async (): Promise<{ countedUntil: number | null; rows: CountRow[] }> => {
    const [reach] = await ask<{ until: number }>(state, {});
    const countedUntil = reach === undefined ? null : reach.until * 1000;
    const rows = await ask<CountRow>(counts(query), { ...rowsOf, first_hour: seconds(firstHour), end_hour: seconds(endHour), reach: seconds(countedUntil ?? 0), step: step / 1000 });
    return { countedUntil, rows };
  };

  const [{ countedUntil, rows }, found] = await Promise.all([rollups(), ask<SeenRow>(seen(query), rowsOf)]);
  const models = rows.filter(({ by }) => by === 'model');
  const sum = (of: (row: CountRow) => number): number => models.reduce((total, row) => total + of(row), 0);
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
      version: row.version || null,
      ok: row.ok,
      dropped: row.dropped,
      dead_lettered: row.dead_lettered,
      latency_ms: latency(row.ok, row.latency_sum, [row.bins]),
      mean_score: row.scores === 0 ? null : row.score_total / row.scores,
    })),
    endings: rows.flatMap(({ by, status, stage, reason, count }) => (by === 'ending' && status !== 'ok' ? [{ status, stage: stage || null, reason: reason || null, count }] : [])).slice(0, mostListed),
    latency_ms: latency(outcomes.ok, sum((row) => row.latency_sum), models.map((row) => row.bins)),
    throughput: {
      per_second: duration > 0 ? (outcomes.ok + outcomes.dropped + outcomes.dead_lettered) / duration : 0,
      step_seconds: step / 1000,
      series: rows.flatMap(({ by, at, ok, dropped, dead_lettered }) => (by === 'step' ? [{ at: iso(at * 1000), ok, dropped, dead_lettered }] : [])),
    },
    classes: found.flatMap(({ by, label, count, mean_score }) => (by === 'label' ? [{ label, count, mean_score }] : [])).slice(0, mostListed),
    confidence: Array.from({ length: 10 }, (_, bin) => ({ from: bin / 10, to: (bin + 1) / 10, count: found.find((one) => one.by === 'bin' && one.bin === bin)?.count ?? 0 })),
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
