/** How far a frame came, by the topics it lies in: told of those that were lost. */
import type { Log, SchemaRegistry } from '../../../connectors/ports.ts';
import type { OfferedFrame } from '../load/ledger.ts';
import { readTopic } from './read-topic.ts';
import { aboutFrame, topicsWithLetters } from './topics.ts';

/** The places of each frame, as `topic/partition@offset (source and time)`, in the order of the stream. */
export async function lastSeen(log: Log, registry: SchemaRegistry, models: readonly string[], frames: readonly OfferedFrame[]): Promise<Map<OfferedFrame, string[]>> {
  const places = new Map(frames.map((frame) => [frame, [] as string[]]));
  const byKey = new Map(frames.map((frame) => [frame.key, frame]));
  const byFrameId = new Map(frames.map((frame) => [frame.frameId, frame]));
  for (const topic of topicsWithLetters(models)) {
    await readTopic(log, topic, async (record) => {
      const { partition, offset, timestamp } = record;
      const { key, frameId } = await aboutFrame(topic, record, registry);
      const frame = byKey.get(key ?? '') ?? byFrameId.get(frameId ?? '');
      if (frame) places.get(frame)!.push(`${topic}/${partition}@${offset} (${new Date(timestamp).toISOString()})`);
    });
  }
  return places;
}
