/**
 * From windows to alerts: a feature that has moved in two of the last three windows of a stream is drift. All that is wrong
 * with a source at a time is one alert, whatever models and features show it; it resolves when nothing shows it any more. Hours
 * vote among themselves, and tell only of what their five minutes did not: else an alert would outlive its cause by hours.
 */
import { alertId } from '../../schemas/ids.ts';
import type { Alert, DriftWindow } from '../../schemas/records.ts';
import { windowMs } from './windows.ts';

const votes = 3;
const agreeing = 2;
/** A stream whose windows have stopped coming (another version answers by now) does not keep an alert open. */
const staleMs = 12 * windowMs;

interface Vote {
  readonly window: string;
  readonly start: number;
  readonly end: number;
  readonly moved: readonly string[];
}

/** Of one source; plain data. */
export interface Watch {
  /** The last windows with a verdict, by stream (`model@version`), and those of hours by `model@version 1h`. */
  readonly votes: Record<string, Vote[]>;
  /** By stream the features on which windows of five minutes have agreed since its last hour; absent in what was written before. */
  shown?: Record<string, string[]>;
  /** The alert that is open. */
  alert: Alert | null;
}

export const noWatch = (): Watch => ({ votes: {}, alert: null });

/** Features on which windows of the stream agree. */
const agreed = (of: readonly Vote[]): string[] =>
  [...new Set(of.flatMap(({ moved }) => moved))].filter((feature) => of.filter(({ moved }) => moved.includes(feature)).length >= agreeing);

const hourOf = (stream: string): string => `${stream} 1h`;
const streamOf = (voters: string): string => voters.replace(/ 1h$/, '');

/** Takes a window of five minutes or an hour in; answers the alert if there is news of it: it opens, spreads to other features, or resolves. */
export function watchWindow(watch: Watch, window: DriftWindow): Alert | null {
  const stream = `${window.model}@${window.version ?? ''}`;
  const shown = (watch.shown ??= {});
  const before = shown[stream] ?? [];
  // Whatever becomes of the hour.
  if (window.span === '1h') delete shown[stream];
  if (window.verdict !== 'stable' && window.verdict !== 'drifted') return null;
  const voters = window.span === '1h' ? hourOf(stream) : stream;
  const all = window.features.filter((feature) => feature.moved).map(({ name }) => name);
  const moved = window.span === '1h' ? all.filter((feature) => !before.includes(feature)) : all;
  watch.votes[voters] = [...(watch.votes[voters] ?? []), { window: window.id, start: window.start, end: window.end, moved }].slice(-votes);
  for (const [other, of] of Object.entries(watch.votes)) {
    const last = of.at(-1)!;
    if (window.end - last.end > Math.max(staleMs, 3 * (last.end - last.start))) {
      delete watch.votes[other];
      delete shown[other];
    }
  }
  const firing = Object.entries(watch.votes).map(([name, of]) => ({ name, of, features: agreed(of) })).filter(({ features }) => features.length > 0);
  const own = voters === stream ? firing.find(({ name }) => name === stream) : undefined;
  if (own) shown[stream] = [...new Set([...before, ...own.features])];
  const open = watch.alert;
  if (firing.length === 0) {
    if (!open) return null;
    watch.alert = null;
    return { ...open, status: 'resolved', changed_at: window.end, resolved_at: window.end };
  }
  // What has been named stays named: an alert that lost and regained a feature would be news each time.
  const features = [...new Set([...(open?.features ?? []), ...firing.flatMap((each) => each.features)])];
  const models = [...new Set([...(open?.models ?? []), ...firing.map(({ name }) => streamOf(name))])];
  if (open && features.length === open.features.length && models.length === open.models.length) return null;
  const windows = firing.flatMap(({ of }) => of.filter((vote) => vote.moved.length > 0));
  const mine = firing.some(({ name }) => name === voters);
  watch.alert = {
    ...(open ?? {
      id: alertId(window.tenant, window.source, windows[0]!.window),
      tenant: window.tenant,
      source: window.source,
      started_at: Math.min(...windows.map(({ start }) => start)),
      sentence: window.sentence ?? '',
    }),
    kind: 'drift',
    status: 'firing',
    changed_at: window.end,
    resolved_at: null,
    features,
    models,
    // The window that makes it news says why best, unless it is of a stream that is well.
    ...(mine && window.sentence !== null ? { sentence: window.sentence } : {}),
    windows: [...new Set([...(open?.windows ?? []), ...windows.map((vote) => vote.window)])].slice(-12),
    examples: [...new Set([...(window.examples ?? []), ...(open?.examples ?? [])])].slice(0, 6),
  };
  return watch.alert;
}
