/** A steady load on frames.in, one source for each partition, and what became of each frame on `predictions`. */
import { randomUUID } from 'node:crypto';
import type { Clock, Log, LogProducer, LogRecord, SchemaRegistry } from '../../connectors/ports.ts';
import { partitionOfKey } from '../../connectors/memory/murmur2.ts';
import { frameIdFromProducer } from '../../schemas/ids.ts';
import type { Prediction } from '../../schemas/records.ts';

export interface SentFrame {
  readonly id: string;
  readonly source: string;
  readonly sequence: number;
  /** When it was handed to the producer, and when the log acknowledged it; milliseconds since the epoch. */
  readonly sentAt: number;
  ackedAt: number | null;
  readonly phase: string;
  /** When each of its records on `predictions` arrived here, and the status of the first. */
  readonly arrivals: number[];
  status: string | null;
}

export interface FrameLoad {
  readonly frames: ReadonlyMap<string, SentFrame>;
  /** Frames of the answers that came in another order than their source sent them. */
  readonly disordered: number;
  /** Sends no more; resolves when every acknowledged frame has its answer, or none has come for `patienceMs`. */
  finish(patienceMs: number): Promise<void>;
}

export interface FrameLoadOptions {
  readonly log: Log;
  readonly producer: LogProducer;
  readonly registry: SchemaRegistry;
  readonly clock: Clock;
  readonly picture: Buffer;
  readonly tenant: string;
  /** Frames a second, over all sources. */
  readonly rate: number;
  /** What is going on at the moment. */
  phase(): string;
}

/** Names that hash to each of the partitions. */
function sourceOfEach(partitions: number): string[] {
  const names: string[] = [];
  for (let i = 0, found = 0; found < partitions; i += 1) {
    const at = partitionOfKey(Buffer.from(`camera-${i}`), partitions);
    if (names[at] !== undefined) continue;
    names[at] = `camera-${i}`;
    found += 1;
  }
  return names;
}

export async function startFrames(options: FrameLoadOptions): Promise<FrameLoad> {
  const { log, producer, registry, clock, picture, tenant } = options;
  const partitions = await log.partitions('frames.in');
  const sources = sourceOfEach(partitions);
  const frames = new Map<string, SentFrame>();
  const latest = new Map<string, number>();
  const stopping = new AbortController();
  let disordered = 0;
  let lastArrival = clock.now();
  /** A rejoin may read again what has been read: an offset counts once. */
  const next = new Map<number, number>();

  async function arrived(record: LogRecord): Promise<void> {
    if (record.offset < (next.get(record.partition) ?? 0) || record.value === null) return;
    next.set(record.partition, record.offset + 1);
    const at = clock.now();
    const prediction = (await registry.decode('predictions', record.value)) as Prediction;
    const frame = frames.get(prediction.frame_id);
    if (!frame) return;
    lastArrival = at;
    frame.arrivals.push(at);
    frame.status ??= prediction.status;
    if (frame.arrivals.length > 1) return;
    if (frame.sequence < (latest.get(frame.source) ?? -1)) disordered += 1;
    latest.set(frame.source, Math.max(frame.sequence, latest.get(frame.source) ?? -1));
  }

  const consumer = await log.consumer({
    group: `saccade.bench.${randomUUID()}`,
    topics: ['predictions'],
    from: 'latest',
    claim: Array.from({ length: await log.partitions('predictions') }, (_, partition) => partition),
    maxBytes: 8 * 1024 * 1024,
    maxBytesPerPartition: 1024 * 1024,
    handlers: { assigned() {}, records: (_generation, _source, records) => void records.reduce((before, record) => before.then(() => arrived(record)), Promise.resolve()) },
  });

  async function send(n: number): Promise<void> {
    const source = sources[n % sources.length]!;
    const sequence = Math.floor(n / sources.length);
    const id = frameIdFromProducer(tenant, source, `${n}`);
    const frame: SentFrame = { id, source, sequence, sentAt: clock.now(), ackedAt: null, phase: options.phase(), arrivals: [], status: null };
    frames.set(id, frame);
    await producer.send([{ topic: 'frames.in', key: source, value: picture, headers: { id: `${n}`, sequence: `${sequence}` } }]);
    frame.ackedAt = clock.now();
  }

  const sending = (async () => {
    const startedAt = clock.now();
    const underWay = new Set<Promise<void>>();
    for (let n = 0; !stopping.signal.aborted; n += 1) {
      const one = send(n).catch(() => {}).finally(() => underWay.delete(one));
      underWay.add(one);
      // By the clock, not by the pause: a send that takes long must not thin the load.
      await clock.sleep(Math.max(0, startedAt + ((n + 1) * 1000) / options.rate - clock.now()), stopping.signal);
    }
    await Promise.all(underWay);
  })();

  return {
    frames,
    get disordered() {
      return disordered;
    },
    async finish(patienceMs) {
      stopping.abort();
      await sending;
      lastArrival = clock.now();
      const open = (): boolean => [...frames.values()].some(({ ackedAt, arrivals }) => ackedAt !== null && arrivals.length === 0);
      while (open() && clock.now() - lastArrival < patienceMs) await clock.sleep(100);
      // A repeat may come after the last first answer.
      await clock.sleep(3_000);
      await consumer.close();
    },
  };
}
