/** The topics that hold a frame on its way, and what can be told of a record in one of them. */
import type { LogRecord, SchemaRegistry } from '../../../connectors/ports.ts';
import { deadLetterTopic, topicSpecs } from '../../../schemas/topics.ts';

/** Each topic that has dead letters, in the order of topics.json. */
export function topicsWithLetters(models: readonly string[]): string[] {
  const all = topicSpecs(models, { partitions: 1, replication: 1, minInSync: 1, maxRecordBytes: 1 }).map(({ name }) => name);
  return all.filter((name) => all.includes(deadLetterTopic(name)));
}

export interface About {
  /** The producer's own id, in what it wrote itself. */
  readonly key: string | null;
  readonly frameId: string | null;
  readonly image: Buffer | null;
}

/** Nulls for what cannot be read. */
export async function aboutFrame(topic: string, { value, headers }: Pick<LogRecord, 'value' | 'headers'>, registry: SchemaRegistry): Promise<About> {
  if (topic === 'frames.in') return { key: headers.id ?? null, frameId: null, image: value };
  const decoded = value === null ? {} : ((await registry.decode(topic, value).catch(() => ({}))) as { id?: string; frame_id?: string; image?: Buffer | null });
  return { key: null, frameId: decoded.frame_id ?? decoded.id ?? null, image: decoded.image ?? null };
}
