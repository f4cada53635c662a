/** Ingest: what anyone put into frames.in becomes a frame with an identity, or a dead letter with a reason. */
import { asSaccadeError } from '../../connectors/errors.ts';
import { frameIdFromOrigin, frameIdFromProducer } from '../../schemas/ids.ts';
import type { FrameIdentity, FrameIn } from '../../schemas/records.ts';
import { unanswered } from '../../schemas/unanswered.ts';
import { emit, failed, type Input, type Outcome, type Stage } from '../stage.ts';
import { accept, type AcceptRules, maxModelsAsked } from './accept.ts';
import { describePlainImage } from './headers.ts';

export interface IngestOptions {
  readonly rules: AcceptRules;
  /** The tenant that owns the topic: never taken from what a producer wrote. */
  readonly tenant: string;
}

/** Source of a record without a key. */
const noSource = 'unknown';

export function ingestStage({ rules, tenant }: IngestOptions): Stage<Buffer | FrameIn> {
  const describe = (input: Input<Buffer | FrameIn>): FrameIn =>
    Buffer.isBuffer(input.value) ? describePlainImage(input.value, input.headers) : input.value;

  /** The parts of a frame that stand even when the rest of the record is nonsense. */
  function identify(input: Input<Buffer | FrameIn>, producerId: string | null) {
    const source = input.key === null || input.key === '' ? noSource : input.key.slice(0, 256);
    const id = producerId ? frameIdFromProducer(tenant, source, producerId) : frameIdFromOrigin(input.origin);
    return { id, source };
  }

  async function ingest(input: Input<Buffer | FrameIn>): Promise<Outcome> {
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
          image: described.image,
          models: described.models,
          deadline: described.deadline,
          reply: null,
        },
        rules,
      );
      return emit({ output: 'frames', key: source, value: frame });
    } catch (error) {
      return failed(asSaccadeError(error));
    }
  }

  return {
    name: 'ingest',
    batch: { records: 64, bytes: 16 * 1024 * 1024, waitMs: 0, concurrency: 2 },
    process: (batch) => Promise.all(batch.map(ingest)),
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
