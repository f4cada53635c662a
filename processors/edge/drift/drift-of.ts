/** What the store says of the drift of a tenant's sources. */
import type { Drift, DriftQuery } from '../../../schemas/api/drift.ts';
import type { AskStore } from '../store-reader.ts';

/** Rows of a history: a week of eight streams. */
const mostWindows = 20_000;
const most = 100;
const hourMs = 3_600_000;

interface Stream {
  readonly source: string;
  readonly model: string;
  readonly version: string;
}

type Verdict = Drift['streams'][number]['latest']['verdict'];

interface WindowRow extends Stream {
  readonly start_ms: number;
  readonly end_ms: number;
  readonly frames: number;
  readonly verdict: Verdict;
  readonly moved: string[];
  readonly sentence: string | null;
  readonly accuracy: number | null;
}

interface LatestRow extends Omit<WindowRow, 'moved'> {
  readonly span: '5m' | '1h';
  readonly reference: string | null;
  readonly examples: string[];
  readonly accuracy_low: number | null;
  readonly accuracy_high: number | null;
  readonly accuracy_normal: number | null;
  readonly charts: string;
  readonly names: string[];
  readonly groups: string[];
  readonly statistics: string[];
  readonly feature_values: number[];
  readonly p: (number | null)[];
  readonly q: (number | null)[];
  readonly moves: boolean[];
  readonly means: (number | null)[];
  readonly reference_means: (number | null)[];
}

interface AlertRow extends Omit<Drift['alerts'][number], 'started_at' | 'changed_at' | 'resolved_at'> {
  readonly started_ms: number;
  readonly changed_ms: number;
  readonly resolved_ms: number | null;
}

type Chart = Record<string, { readonly edges: number[]; readonly labels: string[]; readonly now: number[]; readonly reference: number[] }>;

// With the table's name: an alias of the same name would be meant otherwise.
const ofStreams = (table: string, spans: string): string =>
  `${table}.tenant = {tenant:String} AND ${table}.span IN (${spans}) AND ${table}.end >= fromUnixTimestamp64Milli({since:Int64})
   AND ({source:String} = '' OR ${table}.source = {source:String}) AND ({model:String} = '' OR ${table}.model = {model:String})`;

const iso = (ms: number): string => new Date(ms).toISOString();
const nameOf = ({ source, model, version }: Stream): string => JSON.stringify([source, model, version]);

/** `now` in milliseconds since the epoch. Throws store_unavailable. */
export async function driftOf(tenant: string, { source = '', model = '', hours = 24 }: DriftQuery, { ask, now }: { readonly ask: AskStore; readonly now: number }): Promise<Drift> {
  const params = { tenant, source, model, since: now - hours * hourMs };
  const [latest, windows, alerts] = await Promise.all([
    ask<LatestRow>(
      `SELECT source, model, version, span, toUnixTimestamp64Milli(start) AS start_ms, toUnixTimestamp64Milli(end) AS end_ms, frames, verdict, reference, sentence, examples, accuracy, accuracy_low, accuracy_high, accuracy_normal, charts,
              features.name AS names, features.group AS groups, features.statistic AS statistics, features.value AS feature_values, features.p AS p, features.q AS q,
              features.moved AS moves, features.mean AS means, features.reference_mean AS reference_means
       FROM drift_windows_raw FINAL WHERE ${ofStreams('drift_windows_raw', "'5m', '1h'")}
       ORDER BY span = '1h', end_ms DESC LIMIT 1 BY source, model, version, span LIMIT ${2 * most}`,
      params,
    ),
    ask<WindowRow>(
      `SELECT source, model, version, toUnixTimestamp64Milli(start) AS start_ms, toUnixTimestamp64Milli(end) AS end_ms, frames, verdict, sentence, accuracy,
              arrayFilter((name, moved) -> moved, features.name, features.moved) AS moved
       FROM drift_windows_raw FINAL WHERE ${ofStreams('drift_windows_raw', "'5m'")} ORDER BY end_ms DESC LIMIT ${mostWindows}`,
      params,
    ),
    ask<AlertRow>(
      `SELECT id, source, kind, status, sentence, models, features, examples, toUnixTimestamp64Milli(started_at) AS started_ms, toUnixTimestamp64Milli(changed_at) AS changed_ms,
              if(isNull(resolved_at), NULL, toUnixTimestamp64Milli(assumeNotNull(resolved_at))) AS resolved_ms
       FROM alerts_raw FINAL
       WHERE tenant = {tenant:String} AND ({source:String} = '' OR alerts_raw.source = {source:String})
         AND (status = 'firing' OR changed_at >= fromUnixTimestamp64Milli({since:Int64}))
         AND ({model:String} = '' OR arrayExists(name -> startsWith(name, concat({model:String}, '@')), models))
       ORDER BY changed_ms DESC LIMIT ${most}`,
      params,
    ),
  ]);
  const history = new Map<string, WindowRow[]>();
  for (const row of windows.toReversed()) {
    const own = history.get(nameOf(row));
    if (own) own.push(row);
    else history.set(nameOf(row), [row]);
  }
  const hourOf = new Map(latest.filter(({ span }) => span === '1h').map((row) => [nameOf(row), latestOf(row)]));
  return {
    alerts: alerts.map((alert) => (model === '' ? alert : ofModel(alert, model, windows))).map(({ started_ms, changed_ms, resolved_ms, ...alert }) => ({ ...alert, started_at: iso(started_ms), changed_at: iso(changed_ms), resolved_at: resolved_ms === null ? null : iso(resolved_ms) })),
    streams: latest.filter(({ span }) => span === '5m').slice(0, most).map((row) => ({
      source: row.source,
      model: row.model,
      version: row.version || null,
      latest: latestOf(row),
      hour: hourOf.get(nameOf(row)) ?? null,
      history: (history.get(nameOf(row)) ?? []).map(({ start_ms, end_ms, frames, verdict, moved, accuracy }) => ({ start: iso(start_ms), end: iso(end_ms), frames, verdict, moved, accuracy })),
    })),
  };
}

/**
 * An alert is one for all models that show it; whoever asks for a model, which may be the only one their key is for, is told what
 * that model shows. Windows newest first.
 */
function ofModel(alert: AlertRow, model: string, windows: readonly WindowRow[]): AlertRow {
  const models = alert.models.filter((name) => name.startsWith(`${model}@`));
  if (models.length === alert.models.length) return alert;
  const moved = windows.filter((row) => row.source === alert.source && row.moved.length > 0 && row.end_ms >= alert.started_ms && row.start_ms < (alert.resolved_ms ?? Infinity));
  return {
    ...alert,
    models,
    features: alert.features.filter((feature) => moved.some((row) => row.moved.includes(feature))),
    sentence: moved.find(({ sentence }) => sentence !== null)?.sentence ?? `What ${model} shows of it is among the streams.`,
    // Of which model's windows they are is not known.
    examples: [],
  };
}

function latestOf(row: LatestRow): Drift['streams'][number]['latest'] {
  const charts = JSON.parse(row.charts || '{}') as Chart;
  const { start_ms, end_ms, frames, verdict, reference, sentence, examples } = row;
  return {
    start: iso(start_ms),
    end: iso(end_ms),
    frames,
    verdict,
    reference,
    sentence,
    examples,
    accuracy: row.accuracy === null ? null : { estimate: row.accuracy, low: row.accuracy_low!, high: row.accuracy_high!, normal: row.accuracy_normal! },
    features: row.names.map((name, i) => ({
      name,
      group: row.groups[i]!,
      statistic: row.statistics[i]!,
      value: row.feature_values[i]!,
      p: row.p[i]!,
      q: row.q[i]!,
      moved: row.moves[i]!,
      mean: row.means[i]!,
      reference_mean: row.reference_means[i]!,
      ...(charts[name] ?? { edges: [], labels: [], now: [], reference: [] }),
    })),
  };
}
