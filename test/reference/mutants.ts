/** Pictures broken on purpose, the same ones for the same seed. */
import sharp, { type Sharp } from 'sharp';
import { seededRandom } from '../simulation/world/random.ts';
import { photo, withSegment } from './pictures.ts';

export interface Mutant {
  readonly what: string;
  readonly bytes: Buffer;
  /** A sound file of a type that is not let in. */
  readonly whole: boolean;
}

const headerOf = (jpeg: Buffer): number => jpeg.indexOf(Buffer.from([0xff, 0xc0]));

function put(bytes: Buffer, at: number, value: number): Buffer {
  if (at > 1) bytes[at] = value;
  return bytes;
}

function resized(bytes: Buffer, width: number, height: number): Buffer {
  const at = headerOf(bytes);
  if (at < 0) return bytes;
  bytes.writeUInt16BE(height, at + 5);
  bytes.writeUInt16BE(width, at + 7);
  return bytes;
}

/** Sound files of other types: those a library would read if it were let, and those nobody takes for a picture. */
async function strangers(small: Sharp): Promise<Record<string, Buffer>> {
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64" fill="red"/></svg>';
  const pdf = '%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n';
  const bitmap = Buffer.alloc(54 + 64 * 64 * 3, 128);
  bitmap.write('BM', 0, 'latin1');
  bitmap.writeUInt32LE(bitmap.length, 2);
  bitmap.writeUInt32LE(54, 10);
  for (const [at, value] of [[14, 40], [18, 64], [22, 64], [26, 1 | (24 << 16)], [30, 0]] as const) bitmap.writeUInt32LE(value, at);
  return {
    GIF: await small.clone().gif().toBuffer(),
    TIFF: await small.clone().tiff().toBuffer(),
    AVIF: await small.clone().resize(64).avif({ effort: 0 }).toBuffer(),
    SVG: Buffer.from(svg),
    PDF: Buffer.from(pdf),
    BMP: bitmap,
    HTML: Buffer.from('<!doctype html><title>not found</title>'),
    JSON: Buffer.from('{"image": "data:image/jpeg;base64,/9j/"}'),
    ZIP: Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), Buffer.alloc(100)]),
    nothing: Buffer.alloc(0),
  };
}

export async function mutants(seed: number): Promise<() => Mutant> {
  const { below: pick, pick: oneOf } = seededRandom(seed);
  const noise = (length: number): Buffer => Buffer.from(Array.from({ length }, () => pick(256)));
  const small = sharp(photo('coffee')).resize(320, 240, { fit: 'fill' });
  const jpegs = await Promise.all([
    small.clone().jpeg().toBuffer(),
    small.clone().jpeg({ chromaSubsampling: '4:4:4', quality: 95 }).toBuffer(),
    small.clone().withExif({ IFD0: { Make: 'Camera' } }).jpeg().toBuffer(),
  ]);
  const others = await Promise.all([small.clone().jpeg({ progressive: true }), small.clone().toColourspace('cmyk').jpeg(), small.clone().png(), small.clone().webp()].map((image) => image.toBuffer()));
  const strange = Object.entries(await strangers(small));

  function flip(bytes: Buffer, times: number, from: number): Buffer {
    for (let i = 0; i < times; i++) bytes[from + pick(bytes.length - from)]! ^= 1 << pick(8);
    return bytes;
  }

  /** Each takes a copy that is its own. */
  const mutations: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
    'bits flipped anywhere': (bytes) => flip(bytes, 1 + pick(20), 0),
    // Behind the headers, so that the data are at fault and the header is believed.
    'bits of the data flipped': (bytes) => flip(bytes, 1 + pick(40), Math.min(700, bytes.length >> 1)),
    truncated: (bytes) => bytes.subarray(0, pick(bytes.length)),
    'a part again or missing': (bytes) => Buffer.concat([bytes.subarray(0, pick(bytes.length)), bytes.subarray(pick(bytes.length))]),
    'the rest overwritten': (bytes) => bytes.fill(oneOf([0, 0xff, 0xd9]), pick(bytes.length), bytes.length),
    'the beginning of another type': (bytes) => Buffer.concat([oneOf(others).subarray(0, 12), bytes.subarray(12)]),
    'a type by its first bytes alone': () => Buffer.concat([oneOf([...jpegs, ...others]).subarray(0, 12), noise(pick(2000))]),
    noise: () => noise(pick(2000)),
    // The headers lie: of the size, of the coding, of restarts that never come, of the tables.
    'another size': (bytes) => resized(bytes, 1 + pick(2000), 1 + pick(2000)),
    'a size beyond limits': (bytes) => resized(bytes, oneOf([65_500, 65_535]), oneOf([1, 30, 65_500])),
    'another coding': (bytes) => put(bytes, headerOf(bytes) + 1, 0xc0 + pick(16)),
    'restarts that never come': (bytes) => withSegment(bytes, 0xdd, Buffer.from([0, 1 + pick(20)])),
    'another sampling': (bytes) => put(bytes, headerOf(bytes) + 11 + 3 * pick(3), pick(256)),
    'another table': (bytes) => withSegment(bytes, oneOf([0xc4, 0xdb]), noise(pick(70))),
    // What is wrong is of no consequence: these have to be answered.
    'noise behind the end': (bytes) => Buffer.concat([bytes, noise(1 + pick(500))]),
    'a comment nobody knows': (bytes) => (bytes[0] === 0xff ? withSegment(bytes, 0xfe, noise(pick(200))) : bytes),
  };

  return () => {
    if (pick(8) === 0) {
      const [what, bytes] = oneOf(strange);
      return { what, bytes: Buffer.from(bytes), whole: true };
    }
    const [what, change] = oneOf(Object.entries(mutations));
    return { what, bytes: change(Buffer.from(pick(4) === 0 ? oneOf(others) : oneOf(jpegs))), whole: false };
  };
}
