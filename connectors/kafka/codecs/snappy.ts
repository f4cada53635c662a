/**
 * Snappy in both forms found in Kafka: the raw block that librdkafka and others write, and the stream of blocks that the
 * Java client writes (snappy-java's format: an 8-byte magic, two int32 versions, then int32 length and raw block, repeated).
 */
import { compress, uncompress } from 'snappy';
import { SaccadeError } from '../../errors.ts';
import { maxUnpackedBytes, type Codec } from './codec.ts';

const magic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const headerBytes = magic.length + 8;

function blocksOf(buffer: Buffer): Buffer[] {
  if (!buffer.subarray(0, magic.length).equals(magic)) return [buffer];
  const blocks: Buffer[] = [];
  for (let at = headerBytes; at < buffer.length; ) {
    const length = buffer.readInt32BE(at);
    blocks.push(buffer.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return blocks;
}

/** A raw block begins with the length of its content as a varint. */
function unpackedLength(block: Buffer): number {
  let length = 0;
  for (let i = 0; i < 5; i += 1) {
    const byte = block.readUInt8(i);
    length += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return length;
  }
  throw new SaccadeError('undecodable_record', 'Not a snappy block.');
}

export const snappyCodec: Codec = {
  async compress({ buffer }) {
    const block = await compress(buffer);
    const head = Buffer.alloc(headerBytes + 4);
    magic.copy(head);
    head.writeInt32BE(1, 8);
    head.writeInt32BE(1, 12);
    head.writeInt32BE(block.length, headerBytes);
    return Buffer.concat([head, block]);
  },
  async decompress(buffer) {
    const blocks = blocksOf(buffer);
    const total = blocks.reduce((sum, block) => sum + unpackedLength(block), 0);
    if (total > maxUnpackedBytes) throw new SaccadeError('undecodable_record', `${total} bytes unpacked are too many.`);
    return Buffer.concat(await Promise.all(blocks.map((block) => uncompress(block, { asBuffer: true }) as Promise<Buffer>)));
  },
};
