/** Every dead letter, with the frame it is about. */
import type { BlobStore, Log, LogRecord, SchemaRegistry } from '../../../connectors/ports.ts';
import { deadLetterTopic, tensorTopic } from '../../../schemas/topics.ts';
import { digestOf } from '../load/ledger.ts';
import { readTopic } from './read-topic.ts';

export interface Letter {
  readonly topic: string;
  readonly code: string;
  readonly detail: string;
  /** The producer's own id, where the letter is of a record as the producer wrote it. */
  readonly key: string | null;
  readonly frameId: string | null;
  /** SHA-256 of the picture as it was offered, where the letter holds it. */
  readonly digest: string | null;
}

export interface Archive {
  readonly log: Log;
  readonly registry: SchemaRegistry;
  /** Where a letter too large for a record has left its bytes. */
  readonly blobs: Pick<BlobStore, 'get'>;
  readonly models: readonly string[];
}

export async function deadLetters({ log, registry, blobs, models }: Archive): Promise<Letter[]> {
  const letters: Letter[] = [];
  for (const topic of ['frames.in', 'frames', ...models.map(tensorTopic), 'predictions']) {
    await readTopic(log, deadLetterTopic(topic), async (record) => {
      const claim = record.headers['saccade-claim'];
      const value = claim === undefined ? record.value : await blobs.get(claim).catch(() => null);
      letters.push(await letterOf(topic, { ...record, value }, registry));
    });
  }
  return letters;
}

async function letterOf(topic: string, { value, headers }: LogRecord, registry: SchemaRegistry): Promise<Letter> {
  const said = { topic, code: headers['saccade-error-code'] ?? '?', detail: headers['saccade-error'] ?? '' };
  if (topic === 'frames.in') return { ...said, key: headers.id ?? null, frameId: null, digest: value === null ? null : digestOf(value) };
  const decoded = (await registry.decode(topic, value ?? Buffer.alloc(0)).catch(() => null)) as { id?: string; frame_id?: string; image?: Buffer | null } | null;
  const frameId = topic === 'frames' ? decoded?.id : decoded?.frame_id;
  return { ...said, key: null, frameId: frameId ?? null, digest: decoded?.image ? digestOf(decoded.image) : null };
}
