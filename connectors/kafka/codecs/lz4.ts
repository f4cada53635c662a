/** LZ4 in its frame format, the only one that Kafka's record batches carry. */
import { compressFrame, decompressFrame } from 'lz4-napi';
import { SaccadeError } from '../../errors.ts';
import { maxUnpackedBytes, type Codec } from './codec.ts';

/** Magic (4), FLG, BD: the least that is read here. Reference: the LZ4 frame format, "Frame Descriptor". */
const blockSizeById: Readonly<Record<number, number>> = { 4: 64 * 1024, 5: 256 * 1024, 6: 1024 * 1024, 7: 4 * 1024 * 1024 };

/** No more than this comes out of a frame: its number of blocks times their greatest size. Read before anything is unpacked. */
function unpackedAtMost(frame: Buffer): number {
  const flags = frame.readUInt8(4);
  const blockSize = blockSizeById[(frame.readUInt8(5) >> 4) & 7];
  if (blockSize === undefined) throw new SaccadeError('undecodable_record', 'Not an LZ4 frame.');
  const [blockChecksum, contentSize, dictionary] = [flags & 0x10, flags & 0x08, flags & 0x01];
  let blocks = 0;
  for (let at = 7 + (contentSize ? 8 : 0) + (dictionary ? 4 : 0); ; ) {
    const length = frame.readUInt32LE(at) & 0x7fffffff;
    if (length === 0) return blocks * blockSize;
    blocks += 1;
    at += 4 + length + (blockChecksum ? 4 : 0);
  }
}

export const lz4Codec: Codec = {
  compress: ({ buffer }) => compressFrame(buffer),
  async decompress(buffer) {
    if (unpackedAtMost(buffer) > maxUnpackedBytes) throw new SaccadeError('undecodable_record', 'Too many bytes unpacked.');
    return await decompressFrame(buffer);
  },
};
