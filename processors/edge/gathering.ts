/** Many requests, few sends: a request to the log costs the same for one record and for twenty. */
import { SaccadeError } from '../../connectors/errors.ts';
import type { Clock, LogProducer, OutgoingRecord } from '../../connectors/ports.ts';

/** Of one send: what comes beyond it waits for the next, so that nobody waits for the copying of too much. */
const sendBytes = 1024 * 1024;

const isTooLarge = (error: unknown): boolean => error instanceof SaccadeError && error.code === 'payload_too_large';

/** Into one partition of their topic: one batch for the broker to append and for whoever reads it. The order of requests is nobody's. */
function together(records: readonly OutgoingRecord[]): OutgoingRecord[] {
  const keys = new Map<string, OutgoingRecord['key']>();
  return records.map((record) => {
    if (!keys.has(record.topic)) keys.set(record.topic, record.key);
    return { ...record, key: keys.get(record.topic)! };
  });
}

interface Waiting {
  readonly records: readonly OutgoingRecord[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** When a send waits for company: it costs the log and those who read it as much as ten records do. */
export interface Company {
  readonly clock: Pick<Clock, 'now' | 'sleep'>;
  /** Records that have been sent and whose work is not done. What is sent to these topics waits behind them, so it may as well wait here until it is as many. */
  ahead(topics: readonly string[]): number;
  /** From the beginning of one send to that of the next while there is work ahead, in milliseconds, at most. */
  readonly everyMs: number;
}

export interface Gathering extends Pick<LogProducer, 'send'> {
  /** There is less work ahead than there was. */
  progress(): void;
}

const alone: Company = { clock: { now: () => 0, sleep: async () => {} }, ahead: () => 0, everyMs: 0 };

/**
 * What comes while a send is on its way leaves together in the next one, so nobody waits who comes alone. While there is work ahead,
 * a send waits until it has as many records, if that is not long: a few large sends, of which one is worked on while the next gathers. A record
 * that the log refuses for its size is refused to whoever sent it; its neighbours leave by themselves.
 */
function gatheringOf(producer: Pick<LogProducer, 'send'>, topics: readonly string[], { clock, ahead, everyMs }: Company): Gathering {
  const waiting: Waiting[] = [];
  let sending = false;
  let begunAt = Number.NEGATIVE_INFINITY;
  /** While a send waits for company. */
  let gathers: AbortController | null = null;

  const few = (): boolean => waiting.reduce((sum, { records }) => sum + records.length, 0) < ahead(topics);
  const look = (): void => {
    // With a reason of its own: else an error is made for it, with its stack.
    if (gathers && !few()) gathers.abort(null);
  };

  function take(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (; count < waiting.length && (count === 0 || bytes < sendBytes); count++) for (const { value } of waiting[count]!.records) bytes += value?.length ?? 0;
    return waiting.splice(0, count);
  }

  async function leave(those: readonly Waiting[]): Promise<void> {
    try {
      await producer.send(together(those.flatMap(({ records }) => records)));
      for (const { resolve } of those) resolve();
    } catch (error) {
      // Those that had left already leave twice, which is once: records are known by their ids.
      if (isTooLarge(error) && those.length > 1) return void (await Promise.all(those.map((one) => leave([one]))));
      // The log has been waited for once: those who came meanwhile are not to wait as long again, one send after the other.
      const meanwhile = isTooLarge(error) ? [] : waiting.splice(0);
      for (const { reject } of [...those, ...meanwhile]) reject(error);
    }
  }

  async function run(): Promise<void> {
    sending = true;
    while (waiting.length > 0) {
      const early = few() ? begunAt + everyMs - clock.now() : 0;
      if (early > 0) {
        gathers = new AbortController();
        // The clock may have been set back.
        await clock.sleep(Math.min(early, everyMs), gathers.signal);
        gathers = null;
      }
      begunAt = clock.now();
      await leave(take());
    }
    sending = false;
  }

  return {
    send: (records) =>
      new Promise((resolve, reject) => {
        waiting.push({ records, resolve, reject });
        if (sending) look();
        else void run();
      }),
    progress: look,
  };
}

/** The same for each set of topics by itself: one that is held, for more partitions say, holds nothing up that goes elsewhere. */
export function gathering(producer: Pick<LogProducer, 'send'>, company: Company = alone): Gathering {
  const lanes = new Map<string, Gathering>();
  return {
    progress: () => lanes.forEach((lane) => lane.progress()),
    send(records) {
      const topics = [...new Set(records.map(({ topic }) => topic))].sort();
      const name = topics.join(' ');
      let lane = lanes.get(name);
      if (!lane) lanes.set(name, (lane = gatheringOf(producer, topics, company)));
      return lane.send(records);
    },
  };
}
