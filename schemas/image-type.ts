/** What an image is, by its first bytes: names and content types are the sender's claim, magic bytes are evidence. */

const kinds = [
  { type: 'image/jpeg', test: (b: Buffer) => b.length > 3 && b[0] === 0xff && b[1] === 0xd8 && b[2] === 0xff },
  { type: 'image/png', test: (b: Buffer) => b.length > 8 && b.subarray(0, 8).equals(Buffer.from('89504e470d0a1a0a', 'hex')) },
  { type: 'image/webp', test: (b: Buffer) => b.length > 12 && b.toString('latin1', 0, 4) === 'RIFF' && b.toString('latin1', 8, 12) === 'WEBP' },
] as const;

export type ImageType = (typeof kinds)[number]['type'];

/** null when the bytes are none of JPEG, PNG and WebP. */
export function sniffImage(bytes: Buffer): ImageType | null {
  return kinds.find(({ test }) => test(bytes))?.type ?? null;
}
