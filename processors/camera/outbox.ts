/** Between a camera and the log: what has no ack yet. */
import { asSaccadeError } from '../../connectors/errors.ts';
import type { Clock, LogProducer, OutgoingRecord } from '../../connectors/ports.ts';
import type { CameraCounts, CameraFrame, CameraLog } from './camera-frame.ts';

export interface OutboxOptions {
  readonly source: string;
  readonly producer: LogProducer;
  readonly clock: Clock;
  readonly counts: CameraCounts;
  readonly log: CameraLog;
  /** Why nothing may be sent at present, or null. */
  readonly refusal?: (() => string | null) | undefined;
  /** Frames without an ack, at most. */
  readonly limit: number;
  /** A live picture loses its worth by waiting, a stored one does not: drop the oldest, or make the source wait. */
  readonly whenFull: 'drop-oldest' | 'wait';
}

export interface Outbox {
  /** Takes the frame over; with `wait`, resolves once there is room for another. */
  push(frame: CameraFrame): Promise<void>;
  /** Resolves when everything pushed has its ack or was dropped or refused. */
  flush(): Promise<void>;
  /** Drops what waits, lets the send under way end, and tries no further. */
  close(): Promise<void>;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;
const REFUSED_PAUSE_MS = 1_000;
/** All frames of a source share a partition, and a broker's record limit holds for what reaches a partition in one request. */
const SEND_BYTES = 1024 * 1024;

/** One send at a time keeps the order of the source; what gathers meanwhile leaves together. */
export function outbox({ source, producer, clock, counts, log, limit, whenFull, refusal = () => null }: OutboxOptions): Outbox {
  const waiting: CameraFrame[] = [];
  const closing = new AbortController();
  let inFlight = 0;
  let sending: Promise<void> | null = null;
  let waiters: (() => void)[] = [];

  const wake = (): void => {
    for (const resolve of waiters.splice(0)) resolve();
  };
  const full = (): boolean => waiting.length + inFlight >= limit;
  const trim = (): void => {
    if (whenFull === 'wait') return;
    while (waiting.length > 0 && waiting.length + inFlight > limit) {
      waiting.shift();
      counts.dropped += 1;
    }
  };

  /** What comes meanwhile waits, or pushes older frames out. */
  async function accepted(): Promise<void> {
    for (let why = refusal(), first = true; why !== null && !closing.signal.aborted; why = refusal(), first = false) {
      if (first) log.warn({ source, why }, 'the pipeline accepts no frames; waiting');
      await clock.sleep(REFUSED_PAUSE_MS, closing.signal);
    }
  }

  async function drain(): Promise<void> {
    let failures = 0;
    let single = false; // after a refusal, one by one finds the frame at fault
    while (waiting.length > 0 && !closing.signal.aborted) {
      await accepted();
      if (closing.signal.aborted || waiting.length === 0) break;
      const batch = waiting.splice(0, single ? 1 : fitting(waiting));
      inFlight = batch.length;
      try {
        await producer.send(batch.map((frame) => record(source, frame)));
        counts.acknowledged += batch.length;
        if (failures > 0) log.info({ source }, 'the log takes frames again');
        failures = 0;
      } catch (error) {
        const fault = asSaccadeError(error, 'log_unavailable');
        if (!fault.retryable && batch.length === 1) {
          counts.refused += 1;
          log.warn({ source, sequence: batch[0]!.sequence, error: fault.message }, 'the log refused a frame');
        } else {
          // Sent again under the same ids: whatever did arrive is recognised. Newer frames may push these out meanwhile.
          waiting.unshift(...batch);
          single = !fault.retryable;
          if (fault.retryable) {
            if (failures === 0) log.warn({ source, error: fault.message }, 'the log takes no frames; trying again');
            inFlight = 0;
            await clock.sleep(pause(failures++), closing.signal);
          }
        }
      }
      inFlight = 0;
      trim();
      wake();
    }
    sending = null;
    wake();
  }

  const until = async (met: () => boolean): Promise<void> => {
    while (!met()) await new Promise<void>((resolve) => waiters.push(resolve));
  };

  return {
    async push(frame) {
      counts.captured += 1;
      if (closing.signal.aborted) {
        counts.dropped += 1;
        return;
      }
      waiting.push(frame);
      trim();
      sending ??= drain();
      if (whenFull === 'wait') await until(() => !full() || closing.signal.aborted);
    },
    flush: () => until(() => sending === null),
    async close() {
      closing.abort();
      wake();
      await sending;
      counts.dropped += waiting.length;
      waiting.length = 0;
    },
  };
}

/** How many of the first frames make one request: as many as SEND_BYTES allows, one at least. */
function fitting(frames: readonly CameraFrame[]): number {
  let bytes = 0;
  const over = frames.findIndex((frame) => (bytes += frame.image.length) > SEND_BYTES);
  return over < 0 ? frames.length : Math.max(1, over);
}

/** Jittered, so that many cameras do not come back at the same instant. */
const pause = (failures: number): number => Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures) * (0.5 + Math.random() / 2);

const record = (source: string, frame: CameraFrame): OutgoingRecord => ({
  topic: 'frames.in',
  key: source,
  value: frame.image,
  headers: {
    id: frame.id,
    sequence: `${frame.sequence}`,
    captured_at: `${frame.capturedAt}`,
    ...(frame.deadline === null ? {} : { deadline: `${frame.deadline}` }),
  },
});
