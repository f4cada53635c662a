/** What the predictions add up to: rates, latency, the last ones, and how frames without a result ended. */
import type { Prediction } from '../../schemas/records.ts';
import type { Ending, RecentPrediction, Stats } from './events.ts';
import { latencyWindow } from './latency-window.ts';
import { recentlyUsed } from './recently-used.ts';
import { slidingRate } from './sliding-rate.ts';

const RECENT = 50;
const SOURCES = 64;
const MODELS = 32;
const ENDINGS = 64;
/** Ids remembered to count a prediction delivered twice once. */
const REMEMBERED = 8_192;
/** A source or model that answered nothing for so long is no longer listed. */
const GONE_MS = 10 * 60_000;

export interface Tally {
  /** False when this prediction was counted before. */
  add(prediction: Prediction, now: number): boolean;
  read(now: number): Omit<Stats, 'stages' | 'trouble'>;
}

export function tally(since: number): Tally {
  const sources = recentlyUsed(SOURCES, () => ({ rate: slidingRate(), last_at: 0 }));
  const models = recentlyUsed(MODELS, () => ({ rate: slidingRate(), latency: latencyWindow(), last_at: 0 }));
  const endings = recentlyUsed<{ -readonly [K in keyof Ending]: Ending[K] }>(ENDINGS, (key) => {
    const [status, stage, reason] = JSON.parse(key) as [Ending['status'], string, string];
    return { status, stage, reason, count: 0 };
  });
  const frames = remember();
  const predictions = remember();
  const framesRate = slidingRate();
  const answersRate = slidingRate();
  const latency = latencyWindow();
  const recent: RecentPrediction[] = [];

  return {
    add(p, now) {
      if (!predictions.isNew(p.id)) return false;
      const source = sources.get(p.source);
      source.last_at = now;
      if (frames.isNew(p.frame_id)) {
        source.rate.add(now);
        framesRate.add(now);
      }
      const model = models.get(p.model);
      model.last_at = now;
      if (p.status === 'ok') {
        const ms = p.completed_at - p.captured_at;
        latency.add(now, ms);
        answersRate.add(now);
        model.latency.add(now, ms);
        model.rate.add(now);
      } else {
        endings.get(JSON.stringify([p.status, p.stage ?? '', p.reason ?? ''])).count += 1;
      }
      recent.unshift(summary(p));
      if (recent.length > RECENT) recent.pop();
      return true;
    },
    read: (now) => ({
      at: now,
      since,
      sources: sources
        .entries()
        .filter(([, { last_at }]) => now - last_at < GONE_MS)
        .map(([source, { rate, last_at }]) => ({ source, rate: rate.perSecond(now), last_at }))
        .sort((a, b) => (a.source < b.source ? -1 : 1)),
      models: models
        .entries()
        .filter(([, { last_at }]) => now - last_at < GONE_MS)
        .map(([model, { rate, latency: of }]) => ({ model, rate: rate.perSecond(now), ...of.percentiles(now) }))
        .sort((a, b) => (a.model < b.model ? -1 : 1)),
      total: { frames_rate: framesRate.perSecond(now), answers_rate: answersRate.perSecond(now), ...latency.percentiles(now) },
      history: latency.history(now),
      endings: endings.entries().map(([, ending]) => ({ ...ending })).sort((a, b) => b.count - a.count),
      recent: [...recent],
    }),
  };
}

function summary(p: Prediction): RecentPrediction {
  const found = p.task === 'classification' ? p.labels : p.detections;
  const best = found.reduce<(typeof found)[number] | null>((a, b) => (a === null || b.score > a.score ? b : a), null);
  return {
    id: p.id,
    at: p.completed_at,
    source: p.source,
    model: p.model,
    status: p.status,
    what: best?.label ?? null,
    score: best?.score ?? null,
    more: Math.max(0, found.length - 1),
    reason: p.reason,
    latency_ms: Math.max(0, p.completed_at - p.captured_at),
  };
}

function remember(): { isNew(id: string): boolean } {
  const seen = new Set<string>();
  return {
    isNew(id) {
      if (seen.has(id)) return false;
      seen.add(id);
      if (seen.size > REMEMBERED) seen.delete(seen.values().next().value!);
      return true;
    },
  };
}
