/**
 * Which frames are worth keeping: a sample of each source, and what its models were least sure of. By event time alone, so
 * that a stage that is behind chooses the same ones. What it remembers is lost with the process: then a stretch has two.
 */
import type { Place, Prediction } from '../../schemas/records.ts';
import type { KeepConfig } from './config.ts';

/** Why a frame is kept. */
export type Reason = 'sample' | 'unsure' | 'drift';

/** A frame that is to be kept, and where its picture lies. */
export interface Chosen extends Pick<Prediction, 'frame_id' | 'tenant' | 'source' | 'captured_at'> {
  readonly reason: Reason;
  readonly size: number;
  /** Null: nowhere in the log. */
  readonly place: Place | null;
}

interface Unsure {
  stretch: number;
  /** Distance from the least sure score there is. */
  far: number;
  best: Chosen | null;
}

/** A function that is told of every prediction, and answers the frames that are to be kept now. */
export function chooser({ everyMs, low, high, most }: Pick<KeepConfig, 'everyMs' | 'low' | 'high' | 'most'>): (prediction: Prediction) => Chosen[] {
  const sampled = new Map<string, number>();
  const unsure = new Map<string, Unsure>();

  return (prediction) => {
    const { tenant, source, model, accepted_at, status, picture } = prediction;
    if (status !== 'ok' || !picture?.place) return [];
    const stretch = Math.floor(accepted_at / everyMs);
    const { frame_id, captured_at } = prediction;
    const asChosen = (reason: Reason): Chosen => ({ frame_id, tenant, source, captured_at, reason, size: picture.size, place: picture.place! });
    const chosen: Chosen[] = [];

    const name = `${tenant}/${source}`;
    if (stretch > (sampled.get(name) ?? -Infinity)) {
      remember(sampled, name, stretch, most);
      chosen.push(asChosen('sample'));
    }
    const stream = `${name}/${model}`;
    const score = bestScore(prediction);
    const known = unsure.get(stream);
    // The picture lies in the log: there is time to find out which frame of the stretch it is.
    if (known && stretch > known.stretch && known.best) chosen.push(known.best);
    if (!known || stretch > known.stretch) remember(unsure, stream, { stretch, far: Infinity, best: null }, most);
    const now = unsure.get(stream)!;
    const far = Math.abs(score - (low + high) / 2);
    if (stretch === now.stretch && score >= low && score <= high && far < now.far) Object.assign(now, { far, best: asChosen('unsure') });
    return chosen;
  };
}

/** NaN where nothing was found: then nobody is unsure of anything. */
const bestScore = ({ labels, detections }: Prediction): number => [...labels, ...detections].reduce((best, { score }) => (score > best || Number.isNaN(best) ? score : best), NaN);

function remember<T>(held: Map<string, T>, key: string, value: T, most: number): void {
  held.delete(key);
  held.set(key, value);
  if (held.size > most) held.delete(held.keys().next().value!);
}
