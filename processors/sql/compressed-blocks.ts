/**
 * ClickHouse's own compression, which its drivers ask for by `compress=1`: blocks of a checksum (CityHash128 of all that follows), the
 * method (one byte), the sizes of the block without the checksum and of what is in it unpacked (UInt32 little-endian), and the data.
 */
import { Transform } from 'node:stream';
import { compress } from 'lz4-napi';
import { cityHash128 } from './city-hash.ts';

const lz4 = 0x82;
const headerBytes = 9;
/** Unpacked. The checksum is made on this thread, between other people's requests. */
const blockBytes = 64 * 1024;
/** The library puts the unpacked size in front of the block. */
const sizeBytes = 4;

async function block(data: Buffer): Promise<Buffer[]> {
  const packed = (await compress(data)).subarray(sizeBytes);
  const body = Buffer.allocUnsafe(headerBytes + packed.length);
  body[0] = lz4;
  body.writeUInt32LE(body.length, 1);
  body.writeUInt32LE(data.length, 5);
  packed.copy(body, headerBytes);
  return [cityHash128(body), body];
}

/** What is written to it comes out in blocks. */
export function compressedBlocks(): Transform {
  let [held, bytes]: [Buffer[], number] = [[], 0];
  async function flush(to: Transform): Promise<void> {
    const all = Buffer.concat(held, bytes);
    [held, bytes] = [[], 0];
    for (let from = 0; from < all.length; from += blockBytes) for (const part of await block(all.subarray(from, from + blockBytes))) to.push(part);
  }
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      held.push(chunk);
      bytes += chunk.length;
      if (bytes < blockBytes) return done();
      flush(this).then(() => done(), done);
    },
    flush(done) {
      flush(this).then(() => done(), done);
    },
  });
}
