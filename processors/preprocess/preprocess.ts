/** Preprocess: one decode of each frame, one tensor for each model it asks for. */
import { SaccadeError, asSaccadeError } from '../../connectors/errors.ts';
import type { BlobStore, Clock } from '../../connectors/ports.ts';
import type { Model } from '../../schemas/model-card.ts';
import type { Frame, FrameIdentity, Tensor } from '../../schemas/records.ts';
import { unanswered, type Ending } from '../../schemas/unanswered.ts';
import { emit, failed, reject, type BatchPolicy, type Emitted, type Input, type Outcome, type Stage } from '../stage.ts';
import type { DecodeLimits } from './config.ts';
import { cutter } from './cutter.ts';
import { limiter } from './limiter.ts';

export interface PreprocessOptions {
  /** The models served; a frame that asks for another gets a dead-lettered prediction for that one. */
  readonly models: readonly Model[];
  readonly blobs: BlobStore;
  readonly limits: DecodeLimits;
  readonly clock: Clock;
  readonly batch?: Partial<BatchPolicy>;
}

const name = 'preprocess';
/** Attempts, some seconds apart by then, after which a missing blob is the record's fault. */
const patienceWithBlobs = 6;
/** sharp works on libuv's pool, whose size is fixed when the process starts. */
const poolThreads = Number(process.env.UV_THREADPOOL_SIZE ?? 4) || 4;

/**
 * Outputs: one named after each model (Tensor, key = source), `predictions` and `replies` for what ends here.
 * timings_ms: `queue` from acceptance to the runtime taking the frame over, `decode` the work from bytes to this tensor.
 */
export function preprocessStage({ models, blobs, limits, clock, batch }: PreprocessOptions): Stage<Frame> {
  const served = new Map(models.map((model) => [model.card.name, model]));
  const { cut, start, stop } = cutter(models.map(({ card }) => card.input), limits);
  const limited = limiter(poolThreads);

  async function preprocess(input: Input<Frame>): Promise<Outcome> {
    const frame = input.value;
    const asked = [...new Set(frame.models)];
    const wanted = asked.flatMap((model) => served.get(model) ?? []);
    const unknown = asked.filter((model) => !served.has(model));
    try {
      const tensors = wanted.length === 0 ? [] : await tensorsOf(input, wanted);
      const refused = unknown.flatMap((model) =>
        ending(frame, model, {
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

  async function tensorsOf(input: Input<Frame>, wanted: readonly Model[]): Promise<Emitted[]> {
    const frame = input.value;
    const started = performance.now();
    const { quality, tensors } = await cut(await imageOf(frame), wanted.map(({ card }) => card.input));
    return wanted.map(({ card }, i): Emitted => {
      const tensor: Tensor = {
        ...identityOf(frame),
        frame_id: frame.id,
        model: card.name,
        height: card.input.height,
        width: card.input.width,
        ...tensors[i]!,
        quality,
        // Another machine's clock accepted the frame: it may run ahead of ours.
        timings_ms: { queue: Math.max(0, input.receivedAt - frame.accepted_at), decode: performance.now() - started },
      };
      return { output: card.name, key: frame.source, value: tensor };
    });
  }

  async function imageOf(frame: Frame): Promise<Buffer> {
    if (frame.image) return frame.image;
    if (frame.claim) return blobs.get(frame.claim);
    throw new SaccadeError('payload_empty');
  }

  return {
    name,
    batch: { records: 16, bytes: 32 * 1024 * 1024, waitMs: 0, concurrency: 2, ...batch },
    start,
    process: (frames) => Promise.all(frames.map((frame) => limited(() => preprocess(frame)))),
    stop,
    deadline: (input) => input.value.deadline,
    account: ({ value: frame }, failure) => [...new Set(frame.models)].flatMap((model) => ending(frame, model, failure)),
  };
}

/** What is left of a frame that gets no answer from this model: for the sink, and for whoever waits. */
function ending(frame: Frame, model: string, how: Ending): Emitted[] {
  const value = unanswered(frame.id, frame, model, how);
  const record: Emitted = { output: 'predictions', key: frame.source, value };
  if (!frame.reply) return [record];
  return [record, { output: 'replies', key: frame.reply.request_id, partition: frame.reply.partition, value }];
}

const identityOf = ({ tenant, source, sequence, captured_at, accepted_at, deadline, reply }: Frame): FrameIdentity => ({
  tenant,
  source,
  sequence,
  captured_at,
  accepted_at,
  deadline,
  reply,
});
