/** Every dead letter, with the frame it is about. */
import type { BlobStore, Log, SchemaRegistry } from '../../../connectors/ports.ts';
import { deadLetterTopic } from '../../../schemas/topics.ts';
import { digestOf } from '../load/ledger.ts';
import { readTopic } from './read-topic.ts';
import { aboutFrame, topicsWithLetters } from './topics.ts';

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
  for (const topic of topicsWithLetters(models)) {
    await readTopic(log, deadLetterTopic(topic), async (record) => {
      const claim = record.headers['saccade-claim'];
      const value = claim === undefined ? record.value : await blobs.get(claim).catch(() => null);
      const { key, frameId, image } = await aboutFrame(topic, { ...record, value }, registry);
      const [code, detail] = [record.headers['saccade-error-code'] ?? '?', record.headers['saccade-error'] ?? ''];
      letters.push({ topic, code, detail, key, frameId, digest: image === null ? null : digestOf(image) });
    });
  }
  return letters;
}
