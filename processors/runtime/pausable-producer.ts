/**
 * The one producer of a process, with a hold for each topic. What is sent to a topic on hold waits, and with it whoever
 * sends: a stage's outputs stay in order and its memory bounded, as when the log itself is slow.
 */
import type { Clock, LogProducer, OutgoingRecord } from '../../connectors/ports.ts';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Logger } from './logger.ts';
import { isOf } from './wiring.ts';

export interface PausableProducer extends LogProducer {
  /** A topic, or some topic of a family such as `tensors.*`. */
  held(topic: string): boolean;
  /** Resolves when nothing is on its way to the topic any more, and nothing will be until it is released. */
  hold(topic: string): Promise<void>;
  release(topic: string): Promise<void>;
}

interface Hold {
  readonly over: Promise<void>;
  end(): void;
  /** To be given up as soon as there is a new producer; a hold asked for anew meanwhile takes this back. */
  ending: boolean;
}

/** What is being sent: by which producer, to which topics. */
interface UnderWay {
  readonly by: LogProducer;
  readonly topics: ReadonlySet<string>;
}

const retryMs = 500;

/**
 * `open` makes a producer. A hold ends with a new one: a producer remembers for a minute how many partitions a topic has,
 * and meanwhile would send a source's frames to the partition they no longer belong to. Throws what `open` throws.
 */
export async function pausableProducer(open: () => Promise<LogProducer>, clock: Clock, logger: Logger): Promise<PausableProducer> {
  let producer = await open();
  let closed = false;
  const closing = new AbortController();
  const holds = new Map<string, Hold>();
  const underWay = new Map<Promise<void>, UnderWay>();

  const ended = (which: (one: UnderWay) => boolean): Promise<unknown> =>
    Promise.allSettled([...underWay].filter(([, one]) => which(one)).map(([sending]) => sending));

  async function fresh(): Promise<LogProducer | null> {
    while (!closed) {
      try {
        return await open();
      } catch (error) {
        logger.warn({ error: String(error) }, 'a pause is over, and the log cannot be reached');
        await clock.sleep(retryMs, closing.signal);
      }
    }
    return null;
  }

  async function send(records: readonly OutgoingRecord[]): Promise<void> {
    const topics = new Set(records.map(({ topic }) => topic));
    for (let hold: Hold | undefined; (hold = [...topics].map((topic) => holds.get(topic)).find(Boolean)) !== undefined; ) await hold.over;
    if (closed) throw new SaccadeError('log_unavailable', 'the producer is closed');
    const sending = producer.send(records);
    underWay.set(sending, { by: producer, topics });
    try {
      await sending;
    } finally {
      underWay.delete(sending);
    }
  }

  return {
    send,
    held: (pattern) => [...holds.keys()].some((topic) => isOf(pattern, topic)),
    async hold(topic) {
      const hold = holds.get(topic);
      if (hold) hold.ending = false;
      else {
        let end = (): void => {};
        const over = new Promise<void>((resolve) => (end = resolve));
        holds.set(topic, { over, end, ending: false });
      }
      await ended(({ topics }) => topics.has(topic));
    },
    async release(topic) {
      const hold = holds.get(topic);
      if (!hold) return;
      hold.ending = true;
      const next = await fresh();
      if (next === null || !hold.ending || holds.get(topic) !== hold) return void (await next?.close());
      const old = producer;
      producer = next;
      holds.delete(topic);
      hold.end();
      // What the old one still sends to other topics ends first: an order kept is worth more than a connection saved.
      await ended(({ by }) => by === old);
      await old.close();
    },
    async close() {
      closed = true;
      closing.abort();
      // Waiting sends fail instead of leaving later, when another process has long repeated them.
      for (const { end } of holds.values()) end();
      holds.clear();
      await producer.close();
    },
  };
}
