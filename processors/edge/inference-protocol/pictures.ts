/** The input tensor as encoded pictures. */
import sharp from 'sharp';
import { SaccadeError } from '../../../connectors/errors.ts';
import { mostImages } from '../upload.ts';
import type { TakenInput } from './message.ts';

const refuse = (detail: string): never => {
  throw new SaccadeError('bad_request', `inputs.image: ${detail}`);
};

/**
 * BYTES [n] or [n, 1]: each an encoded picture. UINT8 [n, height, width, 3]: RGB pixels, which become PNGs, since what travels
 * is an encoded picture and a PNG loses nothing. Throws bad_request.
 */
export async function picturesOf(inputs: readonly TakenInput[]): Promise<Buffer[]> {
  const [input, ...others] = inputs;
  if (!input || others.length > 0 || input.name !== 'image') return refuse(`one input of this name is expected, not ${inputs.map(({ name }) => name.slice(0, 40)).join(', ')}.`);
  const [count = 0, ...rest] = input.shape;
  if (count < 1 || count > mostImages) refuse(`1 to ${mostImages} pictures are expected, not ${count}.`);
  if (input.datatype === 'BYTES') {
    if (rest.length > 1 || (rest[0] ?? 1) !== 1) refuse(`BYTES of the shape [n] or [n, 1] are expected, not [${input.shape.join(', ')}].`);
    const pictures = input.bytes ? split(input.bytes) : (input.data!.flat(4) as unknown[]).map(decoded);
    return pictures.length === count ? pictures : refuse(`${pictures.length} elements do not fill the shape [${input.shape.join(', ')}].`);
  }
  if (input.datatype === 'UINT8') return pixels(input, count, rest);
  return refuse(`its datatype is ${input.datatype.slice(0, 20)}; BYTES (encoded pictures) or UINT8 (pixels) is expected.`);
}

/** Each element with its length before it, in four bytes, the least first. */
function split(bytes: Buffer): Buffer[] {
  const elements: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (at + 4 > bytes.length) refuse('its last element has no length.');
    const end = at + 4 + bytes.readUInt32LE(at);
    if (end > bytes.length) refuse(`element ${elements.length} is torn.`);
    elements.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return elements;
}

const base64 = /^[A-Za-z0-9+/]+={0,2}$/;

const decoded = (text: unknown, index: number): Buffer =>
  typeof text === 'string' && base64.test(text) ? Buffer.from(text, 'base64') : refuse(`element ${index} is not base64: pictures are bytes, and JSON has none.`);

async function pixels({ shape, bytes, data }: TakenInput, count: number, rest: readonly number[]): Promise<Buffer[]> {
  const [height = 0, width = 0, channels = 0] = rest;
  if (rest.length !== 3 || channels !== 3 || height < 1 || width < 1) refuse(`UINT8 of the shape [n, height, width, 3] are expected, not [${shape.join(', ')}].`);
  const size = height * width * 3;
  const all = bytes ?? octets(data!);
  if (all.length !== count * size) refuse(`${all.length} values do not fill the shape [${shape.join(', ')}].`);
  const raw = { width, height, channels: 3 as const };
  return Promise.all(
    Array.from({ length: count }, (_, index) =>
      // Least compression: it is for the few milliseconds until it is decoded again.
      sharp(all.subarray(index * size, (index + 1) * size), { raw, limitInputPixels: false }).png({ compressionLevel: 1 }).toBuffer(),
    ),
  );
}

function octets(data: readonly unknown[]): Buffer {
  const flat = data.flat(4) as unknown[];
  if (!flat.every((value) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 255)) refuse('UINT8 are whole numbers from 0 to 255.');
  return Buffer.from(flat as number[]);
}
