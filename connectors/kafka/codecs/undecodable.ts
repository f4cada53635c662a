/**
 * A batch that cannot be unpacked must not stop its partition. kafkajs knows no way round it: the fetch fails, the consumer
 * crashes, and again from the same offset. So the batch is replaced by records that say so, and the dead letters take them.
 */
import type { Codec } from './codec.ts';

/** Set on every record that stands for one in a batch that could not be unpacked; says why. The first has the packed bytes as its value. */
export const undecodableHeader = 'saccade-undecodable';

/** Of the record batch (magic 2): the record count is the int32 right before the packed records, and 61 bytes precede those. */
const batchHeaderBytes = 61;
const magicAt = 16;

export const tolerant = (name: string, codec: Codec): Codec => ({
  compress: codec.compress,
  async decompress(packed) {
    try {
      return await codec.decompress(packed);
    } catch (error) {
      const count = recordCount(packed);
      if (count === null) throw error;
      return standIns(count, packed, `${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  },
});

/** kafkajs hands over a view into the fetched response, so the batch's header lies right before it; null if it does not. */
function recordCount(packed: Buffer): number | null {
  if (packed.byteOffset < batchHeaderBytes) return null;
  const header = Buffer.from(packed.buffer, packed.byteOffset - batchHeaderBytes, batchHeaderBytes);
  const [magic, lastDelta, count] = [header.readInt8(magicAt), header.readInt32BE(23), header.readInt32BE(batchHeaderBytes - 4)];
  return magic === 2 && count > 0 && count <= lastDelta + 1 ? count : null;
}

/** As many records as kafkajs expects, in Kafka's record format: the first with the packed bytes as value, the others with none. */
function standIns(count: number, packed: Buffer, reason: string): Buffer {
  const headers = Buffer.concat([varint(1), text(undecodableHeader), text(reason)]);
  const parts: Buffer[] = [];
  for (let delta = 0; delta < count; delta += 1) {
    const value = delta === 0 ? [varint(packed.length), packed] : [varint(-1)];
    // Attributes, timestamp delta, offset delta, key (none), value, headers.
    const body = Buffer.concat([Buffer.from([0]), varint(0), varint(delta), varint(-1), ...value, headers]);
    parts.push(varint(body.length), body);
  }
  return Buffer.concat(parts);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([varint(bytes.length), bytes]);
}

/** Zigzag, then seven bits a byte, as in Protocol Buffers. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
