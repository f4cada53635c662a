/** A frame of a session as a record of `frames`, and its answer back to the session. */
import { asSaccadeError, type SaccadeError } from '../../../connectors/errors.ts';
import type { Clock, SchemaRegistry } from '../../../connectors/ports.ts';
import { frameIdFromProducer } from '../../../schemas/ids.ts';
import { accept, type AcceptRules } from '../../ingest/accept.ts';
import { answerOf } from '../answer.ts';
import { toldBy } from '../paces.ts';
import type { ReplyDesk } from '../reply-desk.ts';
import { startRequestSpan } from '../spans.ts';
import type { StreamConfig } from './config.ts';
import type { Prepared } from './frame-sender.ts';
import type { StreamMetrics } from './metrics.ts';
import type { StreamOutcome } from './protocol.ts';
import type { FrameInHand, Session } from './session.ts';

export interface PrepareOptions {
  readonly desk: ReplyDesk;
  readonly rules: AcceptRules;
  readonly registry: SchemaRegistry;
  readonly clock: Clock;
  readonly limits: StreamConfig;
  readonly metrics: StreamMetrics;
}

/** What may say more than its title: anything of 500 and above could name hosts, paths or code. */
export function errorOutcome(sequence: number, error: SaccadeError): StreamOutcome {
  const open = error.status < 500 || error.code === 'deadline_exceeded' || error.code === 'overloaded';
  return { type: 'error', sequence, code: error.code, title: error.title, ...(open && error.detail !== '' ? { detail: error.detail } : {}) };
}

/** The same frame of the same session is the same frame, whichever edge and however often it is sent to. */
export const streamFrameId = (tenant: string, source: string, session: string, sequence: number): string =>
  frameIdFromProducer(tenant, source, `stream:${session}:${sequence}`);

/** Throws what accept() refuses a frame for, not_ready, and what the registry throws. */
export function framePreparer({ desk, rules, registry, clock, limits, metrics }: PrepareOptions) {
  return async (session: Session, { sequence, capturedAt, receivedAt, image }: FrameInHand): Promise<Prepared> => {
    const { tenant, source, model, session: name } = session.about;
    const now = clock.now();
    // Who waits for every frame gets every answer, however late; only the waiting for it ends.
    const deadline = session.live && limits.liveMs > 0 ? receivedAt + limits.liveMs : null;
    const expected = desk.expect(deadline ?? now + limits.answerMs);
    // Nobody awaits the answer yet: if its time is up before the frame is sent, that must not count as unhandled.
    expected.answer.catch(() => {});
    const span = startRequestSpan('frame of /v1/stream', undefined, receivedAt);
    const cancel = (error?: unknown): void => {
      expected.cancel();
      span.end(503, error);
    };
    try {
      const id = streamFrameId(tenant, source, name, sequence);
      const frame = await accept({ id, tenant, source, sequence, capturedAt, acceptedAt: now, image, models: [model], deadline, reply: expected.replyTo }, rules);
      const value = await registry.encode('frames', frame);

      async function answered(): Promise<void> {
        const ackedAt = clock.now();
        // The edge stops: the client asks another one.
        const stops = (error: unknown): boolean => asSaccadeError(error).code === 'not_ready';
        const tookMs = await expected.answer.then((prediction) => toldBy(prediction, clock.now() - now), (error: unknown) => (stops(error) ? null : clock.now() - now));
        try {
          const body = answerOf(await expected.answer);
          const total = clock.now() - receivedAt;
          metrics.answered(model, total / 1000);
          span.end(200);
          session.answered({ type: 'result', sequence, ...body, timings_ms: { ...body.timings_ms, produce: ackedAt - now, total } }, tookMs);
        } catch (thrown) {
          const error = asSaccadeError(thrown);
          span.end(error.status, error);
          session.answered(stops(error) ? null : errorOutcome(sequence, error), tookMs);
        }
      }

      return {
        record: { topic: 'frames', key: source, value, headers: { traceparent: span.traceparent } },
        // Nothing that lives until the answer may hold the image: thousands of answers can be outstanding.
        acknowledged: () => void answered(),
        cancel,
      };
    } catch (error) {
      cancel(error);
      throw error;
    }
  };
}
