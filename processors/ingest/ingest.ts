/** Ingest: what anyone put into frames.in, or into a tenant's own topic, becomes a frame with an identity, or a dead letter with a reason. */
import { asSaccadeError } from '../../connectors/errors.ts';
import { frameIdFromOrigin, frameIdFromProducer } from '../../schemas/ids.ts';
import type { FrameIdentity, FrameIn } from '../../schemas/records.ts';
import { unanswered } from '../../schemas/unanswered.ts';
import { emit, failed, type Input, type Outcome, type Stage } from '../stage.ts';
import { accept, type AcceptRules, maxModelsAsked } from './accept.ts';
import { describePlainImage } from './headers.ts';
import type { Lane, Lanes } from './lanes.ts';
import { overflowHeaders } from './overflow.ts';

export interface IngestOptions {
  /** ingest; of another topic than frames.in, `ingestOf` it. */
  readonly name?: string;
  readonly rules: AcceptRules;
  /** The tenant that owns the topic: never taken from what a producer wrote. */
  readonly tenant: string;
  /** Sends what is above a source's quota the other way; without it every frame takes the usual one. */
  readonly lanes?: Lanes | undefined;
}

/** Source of a record without a key. */
const noSource = 'unknown';
const sourceOf = ({ key }: Input<unknown>): string => (key === null || key === '' ? noSource : key.slice(0, 256));

export function ingestStage({ name = 'ingest', rules, tenant, lanes }: IngestOptions): Stage<Buffer | FrameIn> {
  const describe = (input: Input<Buffer | FrameIn>): FrameIn =>
    Buffer.isBuffer(input.value) ? describePlainImage(input.value, input.headers) : input.value;

  /** The parts of a frame that stand even when the rest of the record is nonsense. */
  function identify(input: Input<Buffer | FrameIn>, producerId: string | null) {
    const source = sourceOf(input);
    const id = producerId ? frameIdFromProducer(tenant, source, producerId) : frameIdFromOrigin(input.origin);
    return { id, source };
  }

  /** Of every record, also of one that is refused: a flood of garbage is a flood. */
  async function lanesOf(batch: readonly Input<unknown>[], signal: AbortSignal): Promise<readonly Lane[]> {
    if (!lanes) return batch.map(() => null);
    const arrivals = batch.map((input) => {
      const { partition, offset, timestamp } = input.origin;
      return { source: sourceOf(input), partition, offset, at: timestamp, again: input.attempt > 1 };
    });
    return lanes.choose(arrivals, signal);
  }

  async function ingest(input: Input<Buffer | FrameIn>, lane: Lane): Promise<Outcome> {
    try {
      const described = describe(input);
      const { id, source } = identify(input, described.id);
      const frame = await accept(
        {
          id,
          tenant,
          source,
          sequence: described.sequence,
          capturedAt: described.captured_at ?? input.origin.timestamp,
          acceptedAt: input.origin.timestamp,
          loggedAt: input.origin.timestamp,
          image: described.image,
          models: described.models,
          deadline: described.deadline,
          reply: null,
        },
        rules,
      );
      return emit(lane ? { output: 'overflow', key: source, value: frame, headers: overflowHeaders(lane, input.origin.topic) } : { output: 'frames', key: source, value: frame });
    } catch (error) {
      return failed(asSaccadeError(error));
    }
  }

  return {
    name,
    // One batch at a time: lanes are chosen in the order of the partition.
    batch: { records: 64, bytes: 16 * 1024 * 1024, waitMs: 0, concurrency: 1 },
    async process(batch, signal) {
      const chosen = await lanesOf(batch, signal);
      return Promise.all(batch.map((input, i) => ingest(input, chosen[i]!)));
    },
    source: sourceOf,
    account(input, failure) {
      // Identity as at acceptance where the record can be read at all, so that a repeat with the same id counts once.
      let described: FrameIn | null = null;
      try {
        described = describe(input);
      } catch {
        // A header was wrong; the place in the log identifies the frame.
      }
      const { id, source } = identify(input, described?.id ?? null);
      const frame: FrameIdentity = {
        tenant,
        source,
        sequence: described?.sequence ?? null,
        captured_at: described?.captured_at ?? input.origin.timestamp,
        accepted_at: input.origin.timestamp,
        deadline: null,
        reply: null,
      };
      const named = described?.models ?? [];
      const asked = named.length > 0 && named.length <= maxModelsAsked ? [...new Set(named)] : rules.models;
      return asked.map((model) => ({ output: 'predictions', key: source, value: unanswered(id, frame, model, failure) }));
    },
  };
}
