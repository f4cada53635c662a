/** Puts mutated pictures through the cutter and prints a report: node --expose-gc hostile-images.ts SEED COUNT */
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { asSaccadeError } from '../../connectors/errors.ts';
import { loadModels } from '../../connectors/models/repository.ts';
import { preprocessConfig } from '../../processors/preprocess/config.ts';
import { cutter } from '../../processors/preprocess/cutter.ts';
import { plainJpeg } from '../../processors/preprocess/fast-jpeg/header.ts';
import { seededRandom } from '../simulation/world/random.ts';
import { photo, withSegment } from './pictures.ts';

export interface HostileReport {
  readonly count: number;
  readonly whole: number;
  /** How often each error code was thrown. */
  readonly errors: Readonly<Record<string, number>>;
  /** Mutants whose header still lets them take the fast path. */
  readonly fast: number;
  /** Resident bytes after each fifth, garbage collected. */
  readonly rss: readonly number[];
}

const [seed, count] = process.argv.slice(2).map(Number) as [number, number];
const { below: pick, pick: oneOf } = seededRandom(seed);

const small = sharp(photo('coffee')).resize(320, 240, { fit: 'fill' });
const jpegs = await Promise.all([
  small.clone().jpeg().toBuffer(),
  small.clone().jpeg({ chromaSubsampling: '4:4:4', quality: 95 }).toBuffer(),
  small.clone().withExif({ IFD0: { Make: 'Camera' } }).jpeg().toBuffer(),
]);
const others = await Promise.all([small.clone().jpeg({ progressive: true }), small.clone().toColourspace('cmyk').jpeg(), small.clone().png(), small.clone().webp()].map((image) => image.toBuffer()));
const headerOf = (jpeg: Buffer): number => jpeg.indexOf(Buffer.from([0xff, 0xc0]));

/** Each takes a copy that is its own. */
const mutations: readonly ((bytes: Buffer) => Buffer)[] = [
  (bytes) => flip(bytes, 1 + pick(20), 0),
  // Behind the headers, so that the data are at fault and the header is believed.
  (bytes) => flip(bytes, 1 + pick(40), Math.min(700, bytes.length >> 1)),
  (bytes) => bytes.subarray(0, pick(bytes.length)),
  (bytes) => Buffer.concat([bytes.subarray(0, pick(bytes.length)), bytes.subarray(pick(bytes.length))]),
  (bytes) => bytes.fill(oneOf([0, 0xff, 0xd9]), pick(bytes.length), bytes.length),
  (bytes) => Buffer.concat([oneOf(others).subarray(0, 12), bytes.subarray(12)]),
  () => Buffer.from(Array.from({ length: pick(2000) }, () => pick(256))),
  // The headers lie: of the size, of the coding, of restarts that never come, of the tables.
  (bytes) => resized(bytes, 1 + pick(2000), 1 + pick(2000)),
  (bytes) => resized(bytes, 65_535, oneOf([1, 30, 65_535])),
  (bytes) => put(bytes, headerOf(bytes) + 1, 0xc0 + pick(16)),
  (bytes) => withSegment(bytes, 0xdd, Buffer.from([0, 1 + pick(20)])),
  (bytes) => put(bytes, headerOf(bytes) + 11 + 3 * pick(3), pick(256)),
  (bytes) => withSegment(bytes, oneOf([0xc4, 0xdb]), Buffer.from(Array.from({ length: pick(70) }, () => pick(256)))),
];

function flip(bytes: Buffer, times: number, from: number): Buffer {
  for (let i = 0; i < times; i++) bytes[from + pick(bytes.length - from)]! ^= 1 << pick(8);
  return bytes;
}
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

const models = await loadModels(fileURLToPath(new URL('../../models', import.meta.url)), ['efficientnet-lite0', 'nanodet']);
const inputs = models.map(({ card }) => card.input);
const { cut } = cutter(inputs, preprocessConfig.parse({ maxPixels: 3_000_000 }));

let [whole, fast] = [0, 0];
const errors: Record<string, number> = {};
const rss: number[] = [];

async function attack(mutant: Buffer): Promise<void> {
  if (plainJpeg(mutant)) fast++;
  try {
    const { tensors } = await cut(mutant, inputs);
    const right = tensors.every(({ pixels }, i) => pixels.length === inputs[i]!.width * inputs[i]!.height * 3);
    if (right) whole++;
    else errors.wrong_size = (errors.wrong_size ?? 0) + 1;
  } catch (error) {
    const { code } = asSaccadeError(error);
    errors[code] = (errors[code] ?? 0) + 1;
  }
}

for (let part = 0; part < 5; part++) {
  for (let done = 0; done < count / 5; done += 4) {
    const mutants = Array.from({ length: 4 }, () => oneOf(mutations)(Buffer.from(pick(4) === 0 ? oneOf(others) : oneOf(jpegs))));
    await Promise.all(mutants.map(attack));
  }
  globalThis.gc?.();
  rss.push(process.memoryUsage().rss);
}
console.log(JSON.stringify({ count, whole, errors, fast, rss } satisfies HostileReport));
