/**
 * Where the edge waits for its answers. It leases one partition of `replies`; frames carry that partition and a request id,
 * so no edge reads another's replies, and one that has to share a partition ignores what it did not ask.
 */
import { randomUUID } from 'node:crypto';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Clock, Log, LogConsumer, LogProducer, LogRecord, OutgoingRecord, SchemaRegistry } from '../../connectors/ports.ts';
import type { Prediction, ReplyTo } from '../../schemas/records.ts';
import type { ProblemLog } from './problem.ts';
import { leasePartition, type LeaseTable, type ReplyLease } from './reply-lease.ts';

export interface Expected {
  /** The address of one request. */
  readonly replyTo: ReplyTo;
  readonly answer: Promise<Prediction>;
  /** For a request that comes to nothing: frees its place at once; `answer` then never settles. */
  cancel(): void;
}

export interface ReplyDesk {
  /** Resolves when a record sent to the claimed partition has come back: only then can no answer be missed. */
  open(): Promise<void>;
  /** False again while the log is lost. */
  readonly ready: boolean;
  readonly stopping: boolean;
  readonly waiting: number;
  /**
   * The answer rejects with deadline_exceeded at `deadline`. With `waits` false nobody waits for it: closing does not either,
   * and it is not among `waiting`. Throws not_ready.
   */
  expect(deadline: number, waits?: boolean): Expected;
  /** Whether the record is a reply that is waited for here. */
  awaits(record: Pick<OutgoingRecord, 'topic' | 'key' | 'partition'>): boolean;
  /** Takes a reply, however it came; one that nobody waits for is ignored. */
  receive(record: Pick<LogRecord | OutgoingRecord, 'key' | 'value'>): void;
  /** Expects nothing new; resolves when what is waiting has its answer, after `drainMs` at the latest: the rest gets not_ready. */
  close(drainMs: number): Promise<void>;
}

/** Emptied when it goes: what a Map gives up may live on for a while (connectors/kafka/request-queue.ts), and is to hold no answer. */
interface Waiting {
  settle: ((prediction: Prediction | SaccadeError) => void) | null;
}

const topic = 'replies';
const openPatienceMs = 60_000;
const probeEveryMs = 1_000;
/** Answers listened for that nobody waits for: of the oldest beyond it only the store will know. */
const mostListening = 5_000;

const tooLate = (): SaccadeError => new SaccadeError('deadline_exceeded', 'The frame is accepted; its outcome will be in the store.');
export const notReady = (stopping: boolean): SaccadeError => new SaccadeError('not_ready', stopping ? 'The service is stopping.' : '');

export function replyDesk(options: {
  readonly log: Log;
  readonly producer: LogProducer;
  readonly registry: SchemaRegistry;
  readonly clock: Clock;
  readonly logger: ProblemLog;
  /** Who holds which partition; absent: there is no other edge. */
  readonly leases?: () => Promise<LeaseTable>;
}): ReplyDesk {
  const { log, producer, registry, clock, logger, leases } = options;
  const instance = randomUUID();
  const waiting = new Map<string, Waiting>();
  /** The same for answers that nobody waits for. */
  const listening: typeof waiting = new Map();
  let partition = -1;
  let ready = false;
  let stopping = false;
  let emptied: (() => void) | null = null;
  let consumer: LogConsumer | null = null;
  let lease: ReplyLease | null = null;
  let opened = false;
  let positioning = false;
  /** The key of the record that shows the consumer is in place; empty while it has no partition. */
  let probe = '';
  let arrival = new AbortController();

  const waitsFor = (id: string): Waiting | undefined => waiting.get(id) ?? listening.get(id);

  /** What it was to be told by. */
  function forget(id: string): Waiting['settle'] {
    const one = waitsFor(id);
    const settle = one?.settle ?? null;
    if (one) one.settle = null;
    listening.delete(id);
    if (waiting.delete(id) && waiting.size === 0) emptied?.();
    return settle;
  }

  async function receive({ key, value }: Pick<LogRecord | OutgoingRecord, 'key' | 'value'>): Promise<void> {
    const id = key?.toString() ?? '';
    const settle = value && forget(id);
    if (!settle) return;
    try {
      settle((await registry.decode(topic, value)) as Prediction);
    } catch (error) {
      settle(error instanceof SaccadeError ? error : new SaccadeError('internal', '', error));
    }
  }

  function read(record: LogRecord): void {
    if (probe === '' || record.key?.toString() !== probe) return void receive(record);
    ready = !stopping;
    arrival.abort();
  }

  /**
   * Sends a record to the claimed partition until it has come back: then no answer can be missed. Without a limit it
   * outlasts whatever is wrong; with one it throws not_ready, or what the producer throws.
   */
  async function position(patienceMs = Number.POSITIVE_INFINITY): Promise<void> {
    if (positioning) return;
    positioning = true;
    const until = clock.now() + patienceMs;
    try {
      while (!ready && !stopping) {
        if (clock.now() > until) throw new SaccadeError('not_ready', `No record came back from ${topic}-${partition}.`);
        arrival = new AbortController();
        const { signal } = arrival;
        try {
          if (probe !== '') await producer.send([{ topic, partition, key: probe, value: null }]);
        } catch (error) {
          if (patienceMs !== Number.POSITIVE_INFINITY) throw error;
        }
        await clock.sleep(probeEveryMs, signal);
      }
    } finally {
      positioning = false;
    }
  }

  return {
    async open() {
      const partitions = await log.partitions(topic);
      lease = leases ? await leasePartition({ open: leases, partitions, holder: instance, clock }) : null;
      if (lease && lease.sharedWith > 0) logger.warn({ partitions, partition: lease.partition }, 'there are more edges than partitions of replies: some read the replies of others too');
      partition = lease?.partition ?? Number.parseInt(instance.slice(0, 8), 16) % partitions;
      consumer = await log.consumer({
        group: `saccade.edge.${instance}`,
        topics: [topic],
        from: 'latest',
        claim: [partition],
        maxBytes: 8 * 1024 * 1024,
        maxBytesPerPartition: 8 * 1024 * 1024,
        handlers: {
          assigned() {
            if (ready) return;
            // A new name each time: a probe of an earlier generation that is read again proves nothing.
            probe = `probe-${randomUUID()}`;
            if (opened) void position();
          },
          records: (_generation, _source, records) => records.forEach(read),
          failed(error) {
            // Answers may pass by unseen until the consumer is in its place again.
            ready = false;
            probe = '';
            logger.warn({ error: error.message }, 'replies cannot be read: requests are refused');
          },
        },
      });
      opened = true;
      await position(openPatienceMs);
    },
    get ready() {
      return ready;
    },
    get stopping() {
      return stopping;
    },
    get waiting() {
      return waiting.size;
    },
    awaits: ({ topic: to, key }) => to === topic && waitsFor(String(key)) !== undefined,
    receive: (record) => void receive(record),
    expect(deadline, waits = true) {
      if (stopping || !ready) throw notReady(stopping);
      const id = randomUUID();
      const settled = new AbortController();
      if (!waits && listening.size >= mostListening) {
        const [oldest] = listening.keys();
        forget(oldest!)?.(tooLate());
      }
      const answer = new Promise<Prediction>((resolve, refuse) => {
        const settle = (result: Prediction | SaccadeError): void => {
          // With a reason of its own: else an error is made for it, with its stack.
          settled.abort(null);
          if (result instanceof SaccadeError) refuse(result);
          else resolve(result);
        };
        (waits ? waiting : listening).set(id, { settle });
      });
      void clock.sleep(Math.max(0, deadline - clock.now()), settled.signal).then(() => {
        forget(id)?.(tooLate());
      });
      return {
        replyTo: { request_id: id, partition },
        answer,
        cancel() {
          forget(id);
          settled.abort(null);
        },
      };
    },
    async close(drainMs) {
      ready = false;
      stopping = true;
      arrival.abort();
      if (waiting.size > 0) {
        const drained = new AbortController();
        emptied = () => drained.abort();
        await clock.sleep(drainMs, drained.signal);
      }
      for (const { settle } of [...waiting.values(), ...listening.values()]) settle?.(notReady(stopping));
      waiting.clear();
      listening.clear();
      await Promise.all([consumer?.close(), lease?.release()]);
    },
  };
}
