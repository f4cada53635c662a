/** The topic `frames` as a source of pictures. */
import type { BlobStore, Log, Masker, SchemaRegistry } from '../../connectors/ports.ts';
import type { Frame } from '../../schemas/records.ts';
import { readSpans } from '../dead-letters/read-spans.ts';
import { systemClock } from '../runtime/clock.ts';
import type { FrameSource } from './recent-frames.ts';

export interface Means {
  readonly registry: Pick<SchemaRegistry, 'decode'>;
  readonly blobs: Pick<BlobStore, 'get'>;
  readonly masker: Masker;
}

/** `topic`: another one only for tests. */
export function frameSource(log: Log, { registry, blobs, masker }: Means, topic = 'frames'): FrameSource {
  const bounds = async (name: string) => {
    const [lows, highs] = await Promise.all([log.beginningOffsets(name), log.endOffsets(name)]);
    return lows.map((low) => [low, highs.find(({ partition }) => partition === low.partition)!] as const);
  };
  const survey = { bounds: async (name: string) => (await bounds(name)).map(([low, high]) => ({ topic: name, partition: low.partition, low: low.offset, high: high.offset })) };
  return {
    bounds: () => bounds(topic),
    read: (spans, visit) => readSpans({ log, survey, clock: systemClock }, spans.map(({ partition, from, to }) => ({ topic, partition, low: from, high: to })), visit),
    decode: async (value) => (await registry.decode('frames', value)) as Frame,
    blobs,
    masker,
  };
}
