/** The producers: each source sends its frames in order, and again until they are acknowledged. */
import { setTimeout as sleep } from 'node:timers/promises';
import { asSaccadeError } from '../../../connectors/errors.ts';
import type { LogProducer, OutgoingRecord, SchemaRegistry } from '../../../connectors/ports.ts';
import type { Drawn } from './draw.ts';
import type { Ledger, OfferedFrame } from './ledger.ts';

interface Waiting {
  readonly frame: OfferedFrame;
  readonly record: OutgoingRecord;
  sends: number;
}

export interface Cameras {
  offer(drawn: Drawn): Promise<void>;
  /** Resolves when every frame is acknowledged, refused or given up. */
  idle(): Promise<void>;
}

const batchRecords = 8;
/** A live source has no use for a frame that is older; any other source keeps it. */
const liveGivesUpAfterMs = 25_000;
const deadlineMs = 5_000;

export const isLive = (source: string): boolean => source.startsWith('live');

export interface CamerasOptions {
  readonly producer: LogProducer;
  /** Sends one record in a compressed batch. */
  readonly sendCompressed: (record: OutgoingRecord) => Promise<void>;
  readonly registry: SchemaRegistry;
  readonly ledger: Ledger;
}

export function cameras({ producer, sendCompressed, registry, ledger }: CamerasOptions): Cameras {
  const queues = new Map<string, Waiting[]>();
  const running = new Map<string, Promise<void>>();

  async function recordOf({ key, kind, source, bytes, models }: Drawn): Promise<OutgoingRecord> {
    const now = Date.now();
    const deadline = kind === 'deadline' ? now + deadlineMs : null;
    if (kind === 'avro') {
      const value = await registry.encode('frames.in', { image: bytes, id: key, sequence: null, captured_at: now, models: [...models], deadline });
      return { topic: 'frames.in', key: source, value, headers: { id: key } };
    }
    const headers = { id: key, captured_at: String(now), ...(kind === 'one_model' ? { models: models.join(',') } : {}), ...(deadline === null ? {} : { deadline: String(deadline) }) };
    return { topic: 'frames.in', key: source, value: bytes, headers };
  }

  async function drain(source: string, queue: Waiting[]): Promise<void> {
    while (queue.length > 0) {
      const batch = takeBatch(queue);
      for (const waiting of batch) waiting.sends += 1;
      try {
        if (batch[0]!.frame.kind === 'compressed_oversize') await sendCompressed(batch[0]!.record);
        else await producer.send(batch.map(({ record }) => record));
        for (const { frame } of batch) ledger.acknowledge(frame);
        for (const again of batch) if (again.frame.kind === 'sent_twice' && again.sends === 1) queue.push(again);
      } catch (thrown) {
        const error = asSaccadeError(thrown);
        if (error.code === 'payload_too_large') {
          for (const { frame } of batch) ledger.settle(frame, 'refused');
          continue;
        }
        queue.unshift(...batch);
        if (isLive(source)) giveUpOld(queue);
        await sleep(500);
      }
    }
  }

  function giveUpOld(queue: Waiting[]): void {
    const oldest = Date.now() - liveGivesUpAfterMs;
    while (queue[0] && queue[0].frame.offeredAt < oldest) {
      const { frame, sends } = queue.shift()!;
      // One that was sent may lie in the log all the same.
      ledger.settle(frame, sends > 0 ? 'unacknowledged' : 'refused');
    }
  }

  return {
    async offer(drawn) {
      const { source } = drawn;
      const record = await recordOf(drawn);
      const frame = ledger.offer({ ...drawn, bytes: record.value! });
      const queue = queues.get(source) ?? [];
      queues.set(source, queue);
      queue.push({ frame, record, sends: 0 });
      if (!running.has(source)) running.set(source, drain(source, queue).finally(() => running.delete(source)));
    },
    async idle() {
      while (running.size > 0) await Promise.all(running.values());
    },
  };
}

/** What the log refuses with another was not at fault, and what is compressed goes by a producer of its own. */
const standsAlone = ({ frame: { kind } }: Waiting): boolean => kind === 'over_record_limit' || kind === 'compressed_oversize';

function takeBatch(queue: Waiting[]): Waiting[] {
  const alone = queue.findIndex(standsAlone);
  if (alone === 0) return queue.splice(0, 1);
  return queue.splice(0, Math.min(batchRecords, alone < 0 ? batchRecords : alone));
}
