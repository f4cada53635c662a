/**
 * The way of all sockets' frames into the log: one request at a time, in which what gathers meanwhile leaves together. The
 * sessions take turns, so that one with much to send does not fill the requests; within a session the order holds.
 */
import { asSaccadeError, type SaccadeError } from '../../../connectors/errors.ts';
import type { Clock, OutgoingRecord } from '../../../connectors/ports.ts';
import type { FrameInHand, Session } from './session.ts';

/** A frame ready to be sent, and what to do once it is. */
export interface Prepared {
  readonly record: OutgoingRecord;
  /** The log has it: its answer is awaited from now on. */
  acknowledged(): void;
  /** It is not sent now: nothing may wait for its answer. */
  cancel(): void;
}

export interface FrameSender {
  /** The session has frames. */
  wake(session: Session): void;
  /** Resolves when the request under way, if there is one, is done with. */
  settled(): Promise<void>;
  /** Ends with the request under way. */
  close(): Promise<void>;
}

export interface FrameSenderOptions {
  readonly clock: Clock;
  /** Throws what a frame is refused for; a retryable error puts it back. */
  prepare(session: Session, frame: FrameInHand): Promise<Prepared>;
  send(records: readonly OutgoingRecord[]): Promise<void>;
  /** Nothing may be sent at present. */
  held(): boolean;
  /** The log does not take them, or takes them again (null). */
  told(trouble: SaccadeError | null): void;
}

/** Of one request, over all partitions: what waits behind it waits as long as it takes. */
const requestBytes = 2 * 1024 * 1024;
const heldPauseMs = 100;
const quotaPauseMs = 20;
const firstPauseMs = 100;
const longestPauseMs = 2_000;

interface Taken {
  readonly session: Session;
  readonly frame: FrameInHand;
}

export function frameSender({ clock, prepare, send, held, told }: FrameSenderOptions): FrameSender {
  const ready = new Set<Session>();
  const closing = new AbortController();
  let running: Promise<void> | null = null;
  let delivering: Promise<unknown> = Promise.resolve();

  /** One frame of each session in turn, until the request is full. Whoever was served goes to the end. */
  function gather(): { taken: Taken[]; later: boolean } {
    const taken: Taken[] = [];
    const later = new Set<Session>();
    let bytes = 0;
    for (let more = true; more; ) {
      more = false;
      // Those first that were served longest ago: with room for some only, the same ones would else be left out each time.
      for (const session of [...ready].sort((a, b) => a.servedAt - b.servedAt)) {
        if (bytes >= requestBytes) break;
        ready.delete(session);
        const frame = session.take(clock.now());
        if (frame === null) continue;
        if (frame === 'later') {
          later.add(session);
          continue;
        }
        taken.push({ session, frame });
        bytes += frame.image.length;
        // It comes again after the others.
        ready.add(session);
        more = true;
      }
      more &&= bytes < requestBytes;
    }
    for (const session of later) ready.add(session);
    return { taken, later: later.size > 0 };
  }

  /** Puts back what could not be sent, session by session and in order. */
  function putBack(taken: readonly Taken[]): void {
    const bySession = new Map<Session, FrameInHand[]>();
    for (const { session, frame } of taken) bySession.set(session, [...(bySession.get(session) ?? []), frame]);
    for (const [session, frames] of bySession) session.putBack(frames);
  }

  /** Answers the trouble that kept some of them back, or null. */
  async function deliver(taken: readonly Taken[]): Promise<SaccadeError | null> {
    const results = await Promise.all(taken.map(({ session, frame }) => prepare(session, frame).catch((error: unknown) => asSaccadeError(error))));
    const back: Taken[] = [];
    const stuck = new Set<Session>();
    const sound: (Taken & { readonly prepared: Prepared })[] = [];
    let trouble: SaccadeError | null = null;
    taken.forEach((one, i) => {
      const result = results[i]!;
      if (result instanceof Error && !result.retryable) return one.session.refused(one.frame, result);
      if (result instanceof Error) trouble = result;
      // What a session sent after a frame that has to wait waits too.
      if (result instanceof Error || stuck.has(one.session)) {
        if (!(result instanceof Error)) result.cancel();
        stuck.add(one.session);
        back.push(one);
      } else sound.push({ ...one, prepared: result });
    });
    const unsent = await sendAll(sound);
    if (unsent.trouble) trouble = unsent.trouble;
    putBack([...unsent.back, ...back].toSorted((a, b) => a.frame.sequence - b.frame.sequence));
    return trouble;
  }

  async function sendAll(frames: readonly (Taken & { readonly prepared: Prepared })[]): Promise<{ back: Taken[]; trouble: SaccadeError | null }> {
    if (frames.length === 0) return { back: [], trouble: null };
    try {
      await send(frames.map(({ prepared }) => prepared.record));
      for (const { session, frame, prepared } of frames) {
        session.acknowledged(frame);
        prepared.acknowledged();
      }
      return { back: [], trouble: null };
    } catch (thrown) {
      const error = asSaccadeError(thrown, 'log_unavailable');
      if (error.retryable) {
        // Sent again under the same ids: whatever did arrive is recognised.
        for (const { prepared } of frames) prepared.cancel();
        return { back: [...frames], trouble: error };
      }
      const [only] = frames;
      if (frames.length === 1 && only) {
        only.prepared.cancel();
        only.session.refused(only.frame, error);
        return { back: [], trouble: null };
      }
      // One by one finds the frame at fault; once one has to wait, all behind it do.
      for (const [i, frame] of frames.entries()) {
        const { trouble } = await sendAll([frame]);
        if (!trouble) continue;
        for (const { prepared } of frames.slice(i + 1)) prepared.cancel();
        return { back: frames.slice(i), trouble };
      }
      return { back: [], trouble: null };
    }
  }

  async function run(): Promise<void> {
    for (let failures = 0; ready.size > 0 && !closing.signal.aborted; ) {
      if (held()) {
        await clock.sleep(heldPauseMs, closing.signal);
        continue;
      }
      const { taken, later } = gather();
      if (taken.length === 0) {
        if (!later) break;
        await clock.sleep(quotaPauseMs, closing.signal);
        continue;
      }
      const delivery = deliver(taken);
      delivering = delivery;
      const trouble = await delivery;
      if (trouble || failures > 0) told(trouble);
      failures = trouble ? failures + 1 : 0;
      if (trouble) await clock.sleep(Math.min(longestPauseMs, firstPauseMs * 2 ** failures) * (0.5 + Math.random() / 2), closing.signal);
    }
  }

  function wake(session: Session): void {
    if (closing.signal.aborted) return;
    ready.add(session);
    start();
  }

  function start(): void {
    running ??= run().finally(() => {
      running = null;
      // What came between the last look and here.
      if (ready.size > 0 && !closing.signal.aborted) start();
    });
  }

  return {
    wake,
    settled: async () => void (await delivering),
    async close() {
      closing.abort();
      await running;
    },
  };
}
