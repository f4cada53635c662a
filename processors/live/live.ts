/** What the page shows, computed from the stream itself: right whichever processes run the stages. */
import { randomUUID } from 'node:crypto';
import { asSaccadeError } from '../../connectors/errors.ts';
import type { BlobStore, Clock, Log, Masker, SchemaRegistry, Shown } from '../../connectors/ports.ts';
import type { Frame, Prediction } from '../../schemas/records.ts';
import type { LiveEvent, Snapshot, StageState, Stats } from './events.ts';
import { frameTap } from './frame-tap.ts';
import { onDemand } from './on-demand.ts';
import { pictures } from './pictures.ts';
import { predictionTap } from './prediction-tap.ts';
import { stageLag, type WatchedGroup } from './stage-lag.ts';
import { type TenantView, tenantViews } from './tenant-view.ts';

export interface LiveOptions {
  readonly log: Log;
  readonly registry: Pick<SchemaRegistry, 'decode'>;
  readonly clock: Clock;
  /** The stages in the order of the chain, read anew at each look; `infer.X` is the stage that runs model X. */
  readonly groups: () => readonly WatchedGroup[];
  /** Without it a frame that travels as a claim check is shown without its picture. */
  readonly blobs?: Pick<BlobStore, 'get'>;
  /** Without it pictures are shown as they came. */
  readonly masker?: Masker;
  readonly logger?: { warn(fields: Readonly<Record<string, unknown>>, message: string): void };
  /** Pictures held in memory, while somebody looks. */
  readonly pictureBytes?: number;
}

/** What one tenant may see. The stages are everybody's: they tell how the pipeline is, not what is in it. */
export interface LiveView {
  snapshot(): Snapshot;
  /** Events until the answered function is called. The first subscriber of all sets the costly parts going, the last stops them. */
  subscribe(listener: (event: LiveEvent) => void): () => void;
  /** Every prediction once, as it comes, until the answered function is called. */
  follow(listener: (prediction: Prediction) => void): () => void;
  /** Null when it is not held, or is another tenant's. Throws blobs_unavailable, masking_unavailable. */
  picture(frameId: string): Promise<Shown | null>;
  /** A picture of this tenant that does not lie in `frames`, to be shown all the same. */
  seen(picture: Seen): void;
}

type Seen = Pick<Frame, 'id' | 'tenant' | 'source' | 'models' | 'content_type' | 'image' | 'claim'>;

export interface Live {
  of(tenant: string): LiveView;
  close(): Promise<void>;
}

const STATS_MS = 1_000;
const LAG_MS = 2_000;
const FLUSH_MS = 100;
const LINGER_MS = 10_000;
/** An eye does not miss it, and a fetch for each prediction would cost more than the prediction. */
const GATHER_MS = 100;
/** How long a new consumer may take to join its group, before frames are shown without a picture. */
const JOINING_MS = 5_000;

/** Resolves once the predictions are being read. Throws log_unavailable. */
export async function startLive({ log, registry, clock, groups, blobs, masker, logger, pictureBytes = 32 * 1024 * 1024 }: LiveOptions): Promise<Live> {
  const group = `saccade.live.${randomUUID()}`;
  const stop = new AbortController();
  let viewers = 0;
  const held = pictures(pictureBytes, { blobs, masker });
  const startedAt = clock.now();
  const views = tenantViews(() => startedAt, held.has);

  let trouble: string | null = null;
  const unknown = (): StageState[] => groups().map((watched) => ({ ...watched, lag: null, rate: null }));
  let stages = unknown();

  const answers = predictionTap(
    registry,
    (prediction) => views.of(prediction.tenant).prediction(prediction, clock.now()),
    (error) => {
      trouble = asSaccadeError(error, 'log_unavailable').message;
    },
  );
  const everyPartition = async (topic: string): Promise<number[]> => [...Array(await log.partitions(topic)).keys()];
  const predictions = await log.consumer({
    group,
    topics: ['predictions'],
    from: 'latest',
    // A claim, because this group never commits: the log then knows that nothing has to be held back for it.
    claim: await everyPartition('predictions'),
    gatherMs: GATHER_MS,
    maxBytes: 4 * 1024 * 1024,
    maxBytesPerPartition: 1024 * 1024,
    handlers: answers.handlers,
  });
  answers.attach(predictions);

  function seen(frame: Seen): void {
    const view = views.of(frame.tenant);
    // Nobody of its tenant looks: its picture would only push out those that somebody sees.
    if (view.listeners.size === 0) return;
    held.keep(frame);
    view.join.frame(frame, clock.now());
  }
  const tap = frameTap(registry, seen);
  let taps = 0;
  const frames = onDemand(
    async () => {
      for (const view of views.all()) view.join.expectPictures(clock.now() + JOINING_MS);
      const consumer = await log.consumer({
        // A group of its own each time, so that none begins where another one ended.
        group: `${group}.frames.${(taps += 1)}`,
        topics: ['frames'],
        from: 'latest',
        claim: await everyPartition('frames'),
        maxBytes: 16 * 1024 * 1024,
        maxBytesPerPartition: 4 * 1024 * 1024,
        handlers: { assigned: () => undefined, records: (_generation, _source, records) => tap(records, clock.now()) },
      });
      return {
        ...consumer,
        async close() {
          await consumer.close();
          // Nobody looks: the memory is better used elsewhere.
          held.clear();
        },
      };
    },
    clock,
    LINGER_MS,
    (error) => logger?.warn({ error: asSaccadeError(error).message }, 'live: cannot read frames; trying again'),
  );

  const statsOf = ({ counts }: TenantView): Stats => ({ ...counts.read(clock.now()), stages, trouble });

  const look = stageLag(log, groups);
  async function refresh(): Promise<void> {
    try {
      stages = await look(clock.now());
      trouble = null;
    } catch (error) {
      trouble = asSaccadeError(error, 'log_unavailable').message;
      stages = unknown();
    }
  }
  async function every(ms: number, act: () => void | Promise<void>): Promise<void> {
    while (!stop.signal.aborted) {
      await clock.sleep(ms, stop.signal);
      if (viewers > 0) await act();
    }
  }
  const running = Promise.all([
    every(LAG_MS, refresh),
    every(STATS_MS, () => {
      for (const view of views.all()) if (view.listeners.size > 0) view.emit({ event: 'stats', data: statsOf(view) });
    }),
    every(FLUSH_MS, () => {
      for (const view of views.all()) view.join.flush(clock.now());
    }),
  ]);

  function viewOf(tenant: string): LiveView {
    const view = views.of(tenant);
    return {
      snapshot: () => ({ ...statsOf(view), frames: view.join.shown().filter((frame) => held.has(frame.frame_id)) }),
      subscribe(listener) {
        // A function may be subscribed twice; each subscription is one of its own.
        const own = (event: LiveEvent): void => listener(event);
        if (viewers === 0) {
          // What is known dates from the last viewer.
          stages = unknown();
          void refresh();
        }
        viewers += 1;
        view.listeners.add(own);
        frames.want(true);
        return () => {
          if (!view.listeners.delete(own)) return;
          viewers -= 1;
          if (viewers === 0) frames.want(false);
        };
      },
      follow(listener) {
        // As above: each is one of its own.
        const own = (prediction: Prediction): void => listener(prediction);
        view.followers.add(own);
        return () => void view.followers.delete(own);
      },
      picture: (frameId) => held.get(frameId, tenant),
      seen,
    };
  }

  return {
    of: viewOf,
    async close() {
      stop.abort();
      viewers = 0;
      for (const view of views.all()) view.listeners.clear();
      await Promise.allSettled([predictions.close(), frames.close(), running]);
      held.clear();
    },
  };
}
