/** Pictures that look the same and are not: what is measured with them is work, not the cache of answers. */

const startOfImage = 2;

/** The JPEG with a comment of its own after its start marker: other bytes, the same pixels. */
export function distinct(jpeg: Buffer, n: number | string): Buffer {
  const text = Buffer.from(String(n));
  const length = Buffer.alloc(2);
  length.writeUInt16BE(text.length + length.length);
  return Buffer.concat([jpeg.subarray(0, startOfImage), Buffer.from([0xff, 0xfe]), length, text, jpeg.subarray(startOfImage)]);
}
