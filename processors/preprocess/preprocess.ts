/** Preprocess: one decode of each frame, one tensor for each model it asks for; none where the answer is known already. */
import { SaccadeError, asSaccadeError } from '../../connectors/errors.ts';
import type { BlobStore, Clock } from '../../connectors/ports.ts';
import type { Model } from '../../schemas/model-card.ts';
import type { ModelSet } from '../../schemas/model-set.ts';
import type { KnownAnswer } from '../../schemas/known-answer.ts';
import type { Frame, FrameIdentity, Tensor } from '../../schemas/records.ts';
import { unanswered, type Ending } from '../../schemas/unanswered.ts';
import { emit, failed, reject, retry, type BatchPolicy, type Emitted, type Guard, type Input, type Outcome, type Stage, unguarded } from '../stage.ts';
import type { DecodeLimits } from './config.ts';
import { cutter } from './cutter.ts';
import { cacheable, type CacheRules, type Known, lookUp, type Picture } from './known.ts';
import { limiter } from './limiter.ts';
import { lookAgain } from './look-again.ts';

export interface PreprocessOptions {
  /** The models served; a frame that asks for another gets a dead-lettered prediction for that one, or waits where it only cannot be read here. */
  readonly models: ModelSet;
  readonly blobs: BlobStore;
  readonly limits: DecodeLimits;
  readonly clock: Clock;
  /** Null: every frame is decoded and inferred. */
  readonly cache?: CacheRules | null;
  /** The model as it answers now (its version and thresholds may change): what its known answers are found by. */
  readonly current?: (model: Model) => Model;
  readonly batch?: Partial<BatchPolicy>;
}

const name = 'preprocess';
/** Attempts, some seconds apart by then, after which a missing blob is the record's fault. */
const patienceWithBlobs = 6;
/** sharp works on libuv's pool, whose size is fixed when the process starts. */
const poolThreads = Number(process.env.UV_THREADPOOL_SIZE ?? 4) || 4;

/**
 * Outputs: one named after each model (Tensor, key = source), `predictions` and `replies` for what ends here.
 * timings_ms: `queue` from acceptance to the runtime taking the frame over, `cache` the look-up if there was one, `decode`
 * the work from bytes to this tensor.
 */
export function preprocessStage({ models, blobs, limits, clock, cache = null, current = (model) => model, batch }: PreprocessOptions): Stage<Frame> {
  const find = (wanted: string): Model | undefined => models.all().find(({ card }) => card.name === wanted);
  const inputs = () => models.all().map(({ card }) => card.input);
  const { cut, reuse, start, stop } = cutter(inputs, limits);
  const look = lookAgain(models, clock);
  const limited = limiter(poolThreads);

  async function preprocess(input: Input<Frame>, known: Known | null, guard: Guard): Promise<Outcome> {
    const frame = input.value;
    const unknown = [...new Set(frame.models)].filter((model) => !find(model));
    const away = unknown.find((model) => models.unreadable(model) !== null);
    // Others may serve it, and let it be asked for: this process is at fault, and a dead letter would be an answer lost.
    if (away !== undefined) return retry(new SaccadeError('not_ready', `${away} cannot be read here: ${models.unreadable(away)}`));
    const wanted = wantedOf(frame);
    try {
      const tensors = wanted.length === 0 ? [] : await tensorsOf(input, wanted, known, guard);
      const refused = unknown.flatMap((model) =>
        ending(input, model, {
          status: 'dead_lettered',
          stage: name,
          reason: 'unknown_model',
          detail: new SaccadeError('unknown_model', model).message,
          at: clock.now(),
        }),
      );
      return emit(...tensors, ...refused);
    } catch (thrown) {
      const error = asSaccadeError(thrown);
      // The blob is written before its record, so a missing one may be late (a shared folder), but not for ever.
      if (error.code === 'blob_missing' && input.attempt >= patienceWithBlobs) return reject(error);
      return failed(error);
    }
  }

  const wantedOf = (frame: Frame): Model[] => [...new Set(frame.models)].flatMap((model) => find(model) ?? []);

  async function tensorsOf(input: Input<Frame>, wanted: readonly Model[], early: Known | null, guard: Guard): Promise<Emitted[]> {
    const frame = input.value;
    const image = await imageOf(frame);
    const known = early ?? (frame.image ? null : ((await knownOf([{ frame, image, wanted }])).get(frame) ?? null));
    const views = new Map(known ? [...known.answers].map(([model, answer]) => [model, answered(answer)]) : []);
    const left = wanted.filter(({ card }) => !views.has(card.name));
    if (left.length > 0) {
      const started = performance.now();
      const { quality, tensors } = await guard([input], () => cut(image, left.map(({ card }) => card.input)));
      const ms = { decode: performance.now() - started };
      left.forEach(({ card }, i) => views.set(card.name, { ...tensors[i]!, quality, answer: null, ms }));
    }
    return wanted.map(({ card }): Emitted => {
      const { ms, ...view } = views.get(card.name)!;
      const tensor: Tensor = {
        ...identityOf(frame),
        frame_id: frame.id,
        model: card.name,
        height: card.input.height,
        width: card.input.width,
        ...view,
        // Another machine's clock accepted the frame: it may run ahead of ours.
        timings_ms: { queue: Math.max(0, input.receivedAt - frame.accepted_at), ...(known ? { cache: known.ms } : {}), ...ms },
        content: known?.content ?? null,
        picture: pictureOf(input),
      };
      return { output: card.name, key: frame.source, value: tensor };
    });
  }

  /** What is known of those pictures that may be cached. */
  async function knownOf(pictures: readonly (Picture & { readonly frame: Frame })[]): Promise<Map<Frame, Known>> {
    if (!cache) return new Map();
    const asked = pictures.filter(({ frame }) => cacheable(frame, cache));
    const asAnswering = asked.map((picture) => ({ ...picture, wanted: picture.wanted.map(current) }));
    const known = await lookUp(asAnswering, cache.answers, inputs(), limits.maxPixels);
    return new Map(asked.map(({ frame }, i) => [frame, known[i]!]));
  }

  async function imageOf(frame: Frame): Promise<Buffer> {
    if (frame.image) return frame.image;
    if (frame.claim) return blobs.get(frame.claim);
    throw new SaccadeError('payload_empty');
  }

  return {
    name,
    // Small ones: what is decoded goes on with its batch, and whoever infers stands idle until then.
    batch: { records: 4, bytes: 32 * 1024 * 1024, waitMs: 0, concurrency: 8, ...batch },
    start,
    async process(frames, _signal, guard = unguarded) {
      // A door may know sooner what has come than this process does.
      const unknown = new Set(frames.flatMap(({ value }) => value.models.filter((model) => !find(model) && models.unreadable(model) === null)));
      if (unknown.size > 0) await look([...unknown]);
      // In one round trip. What lies beside the log is looked up when its turn has come: memory holds a few of those at once.
      const here = frames.flatMap(({ value: frame }) => (frame.image ? [{ frame, image: frame.image, wanted: wantedOf(frame) }] : []));
      const known = await knownOf(here);
      return Promise.all(frames.map((input) => limited(() => preprocess(input, known.get(input.value) ?? null, guard))));
    },
    stop,
    spent(value) {
      if (isTensor(value)) reuse(value.pixels);
    },
    deadline: (input) => input.value.deadline,
    // A frame that came over HTTP has its id as key.
    source: ({ value: frame }) => frame.source,
    account: (input, failure) => [...new Set(input.value.models)].flatMap((model) => ending(input, model, failure)),
  };
}

const isTensor = (value: unknown): value is Pick<Tensor, 'pixels'> => Buffer.isBuffer((value as Partial<Tensor>).pixels);

/** What a tensor's record says of the picture, from decoding it or from the cache. */
type View = Pick<Tensor, 'pixels' | 'geometry' | 'quality' | 'answer'> & { readonly ms: Record<string, number> };

/** Without pixels: the answer takes the tensor's way, so that it does not overtake what its source sent before. */
function answered({ image_width, image_height, quality, ...answer }: KnownAnswer): View {
  const geometry = { image_width, image_height, x: 0, y: 0, width: image_width, height: image_height };
  return { pixels: Buffer.alloc(0), geometry, quality, answer, ms: {} };
}

/** What is left of a frame that gets no answer from this model: for the sink, and for whoever waits. */
function ending(input: Input<Frame>, model: string, how: Ending): Emitted[] {
  const frame = input.value;
  const value = unanswered(frame.id, { ...identityOf(frame), picture: pictureOf(input) }, model, how);
  const record: Emitted = { output: 'predictions', key: frame.source, value };
  if (!frame.reply) return [record];
  return [record, { output: 'replies', key: frame.reply.request_id, partition: frame.reply.partition, value }];
}

/** With its place in the log, from where it can be had for as long as it lies there. */
const pictureOf = ({ value: { content_type, size, claim }, origin: { topic, partition, offset } }: Input<Frame>): NonNullable<Tensor['picture']> => ({ content_type, size, claim, place: { topic, partition, offset } });

const identityOf = ({ tenant, source, sequence, captured_at, accepted_at, deadline, reply }: Frame): FrameIdentity => ({
  tenant,
  source,
  sequence,
  captured_at,
  accepted_at,
  deadline,
  reply,
});
