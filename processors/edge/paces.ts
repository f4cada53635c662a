/** The doors by which pictures of a model come into the pipeline, and the one pace that they share. */
import type { Clock } from '../../connectors/ports.ts';
import type { Prediction } from '../../schemas/records.ts';
import type { EdgeConfig } from './config.ts';
import { createPace, type Door } from './pace.ts';
import { type Asker, openShares } from './shares.ts';

/**
 * `requests`: whose client waits for the answer, by HTTP or GraphQL; one that finds its door full is refused. `live`: frames of streams that
 * drop the oldest. `wait`: of streams that want every frame answered, however late; they wait with their client. What nobody waits for
 * (`?wait=0`, `frames.in`) is not counted: it has no target, and gives way to what has one where it is inferred.
 */
export interface Doors extends Readonly<Record<'requests' | 'live' | 'wait', Door>> {
  /** Whether a picture of theirs that comes by a request is too many: where all are, nobody keeps anybody from its part. Null: of whom is not known. */
  tooMany(who: Asker | null): boolean;
  /** Lets a picture of theirs in by a request, and answers what to call when it is back, as it is of a door. */
  enter(who: Asker): Door['back'];
}

export interface Paces {
  of(model: string): Doors;
  /** The same, and makes none. */
  known(model: string): Doors | undefined;
}

export type PaceConfig = Pick<EdgeConfig, 'targetMs' | 'lateMs' | 'paceFirst' | 'paceLeast' | 'paceCalm' | 'calmTargets' | 'maxAwaited'> & {
  readonly stream: Pick<EdgeConfig['stream'], 'liveTargetMs' | 'liveFirst' | 'liveMost'>;
};

/** What an outcome says of how long answers take: of a picture that failed (it may be no picture at all) nothing, since it was not inferred. */
export const toldBy = ({ status }: Pick<Prediction, 'status'>, tookMs: number): number | null => (status === 'dead_lettered' ? null : tookMs);

/** One for each model, made when it is first asked for: models come and go. */
export function openPaces(clock: Pick<Clock, 'now'>, config: PaceConfig): Paces {
  const { targetMs, lateMs, stream } = config;
  const paces = new Map<string, Doors>();

  function make(): Doors {
    const { doors } = createPace(clock, {
      requests: { targetMs, lateMs, first: config.paceFirst, most: config.maxAwaited, least: config.paceLeast, calm: { count: config.paceCalm, targetMs: config.calmTargets * targetMs } },
      live: { targetMs: stream.liveTargetMs, first: stream.liveFirst, most: stream.liveMost },
      // A session has its window already.
      wait: { targetMs: null, first: Number.POSITIVE_INFINITY, most: Number.POSITIVE_INFINITY },
    });
    const { requests } = doors;
    const shares = openShares();
    return {
      ...doors,
      tooMany: (who) => requests.full && !(who && shares.within(who, requests.part)),
      enter(who) {
        requests.take();
        shares.take(who);
        return (tookMs) => {
          shares.back(who);
          requests.back(tookMs);
        };
      },
    };
  }

  return {
    of(model) {
      const doors = paces.get(model) ?? make();
      paces.set(model, doors);
      return doors;
    },
    known: (model) => paces.get(model),
  };
}
