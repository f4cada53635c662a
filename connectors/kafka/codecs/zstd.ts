/** Zstandard: Node's own where it has it (22.15 and later), else a decoder in JavaScript. */
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { Decompress } from 'fzstd';
import { SaccadeError } from '../../errors.ts';
import { maxUnpackedBytes, type Codec } from './codec.ts';

type Zstd = (buffer: Buffer, options: { maxOutputLength?: number }, callback: (error: Error | null, result: Buffer) => void) => void;
/** Absent from the types, and from the runtime, of Node 20. */
const { zstdCompress, zstdDecompress } = zlib as { zstdCompress?: Zstd; zstdDecompress?: Zstd };

/** Fed piece by piece, so that a batch that unpacks to more than the limit is noticed on the way. */
function decompressInScript(buffer: Buffer): Buffer {
  const parts: Buffer[] = [];
  let total = 0;
  const stream = new Decompress((part) => {
    total += part.length;
    if (total > maxUnpackedBytes) throw new SaccadeError('undecodable_record', 'Too many bytes unpacked.');
    // The decoder uses its window again for what follows.
    parts.push(Buffer.from(part));
  });
  const step = 64 * 1024;
  for (let at = 0; at < buffer.length; at += step) stream.push(buffer.subarray(at, at + step), at + step >= buffer.length);
  return Buffer.concat(parts);
}

export const zstdCodec: Codec = {
  async compress({ buffer }) {
    if (zstdCompress === undefined) throw new SaccadeError('invalid_config', 'This version of Node cannot compress with zstd.');
    return await promisify(zstdCompress)(buffer, {});
  },
  async decompress(buffer) {
    if (zstdDecompress === undefined) return decompressInScript(buffer);
    return await promisify(zstdDecompress)(buffer, { maxOutputLength: maxUnpackedBytes });
  },
};
