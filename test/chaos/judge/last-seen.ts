/** How far a frame came, by the topics it lies in: told of those that were lost. */
import type { Log, SchemaRegistry } from '../../../connectors/ports.ts';
import { tensorTopic } from '../../../schemas/topics.ts';
import type { OfferedFrame } from '../load/ledger.ts';
import { readTopic } from './read-topic.ts';

/** The places of each frame, as `topic/partition@offset (source and time)`, in the order of the stream. */
export async function lastSeen(log: Log, registry: SchemaRegistry, models: readonly string[], frames: readonly OfferedFrame[]): Promise<Map<OfferedFrame, string[]>> {
  const places = new Map(frames.map((frame) => [frame, [] as string[]]));
  const byKey = new Map(frames.map((frame) => [frame.key, frame]));
  const byFrameId = new Map(frames.map((frame) => [frame.frameId, frame]));
  for (const topic of ['frames.in', 'frames', ...models.map(tensorTopic), 'predictions']) {
    await readTopic(log, topic, async ({ partition, offset, timestamp, headers, value }) => {
      let frame = topic === 'frames.in' ? byKey.get(headers.id ?? '') : undefined;
      if (topic !== 'frames.in' && value !== null) {
        const decoded = (await registry.decode(topic, value).catch(() => ({}))) as { id?: string; frame_id?: string };
        frame = byFrameId.get((topic === 'frames' ? decoded.id : decoded.frame_id) ?? '');
      }
      if (frame) places.get(frame)!.push(`${topic}/${partition}@${offset} (${new Date(timestamp).toISOString()})`);
    });
  }
  return places;
}
