/** ICC profiles of displays, written field by field (ICC.1:2022, version 2.4 of the format): a matrix and a curve. */
import { withSegment } from './pictures.ts';

const fixed = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => bytes.writeInt32BE(Math.round(value * 65_536), 4 * i));
  return bytes;
};
const word = (value: number): Buffer => fixed(value / 65_536);
const named = (kind: string, ...rest: Buffer[]): Buffer => Buffer.concat([Buffer.from(kind), word(0), ...rest]);

/** What red, green and blue of sRGB each add to X, Y and Z under D50. */
const srgb = [[0.43607, 0.22249, 0.01392], [0.38515, 0.71687, 0.09708], [0.14307, 0.06061, 0.7141]];

/** `curve` at `count` levels; of one, the gamma. */
export function tableOf(count: number, curve: (value: number) => number): Buffer {
  const values = Buffer.alloc(2 * count);
  for (let i = 0; i < count; i++) values.writeUInt16BE(Math.round(count === 1 ? curve(0) * 256 : curve(i / (count - 1)) * 65_535), 2 * i);
  return named('curv', word(count), values);
}

export const parametric = (kind: number, parameters: readonly number[]): Buffer => named('para', Buffer.from([kind >> 8, kind & 255, 0, 0]), fixed(...parameters));

export function iccProfile({ curve, columns = srgb, more = {}, without = '' }: { curve: Buffer; columns?: readonly (readonly number[])[]; more?: Record<string, Buffer>; without?: string }): Buffer {
  const tags: Record<string, Buffer> = {
    desc: named('desc', word(1), Buffer.from('a\0'), Buffer.alloc(78)),
    cprt: named('text', Buffer.from('CC0\0')),
    wtpt: named('XYZ ', fixed(0.9642, 1, 0.8249)),
    ...Object.fromEntries(['r', 'g', 'b'].flatMap((channel, i) => [[`${channel}XYZ`, named('XYZ ', fixed(...columns[i]!))], [`${channel}TRC`, curve]])),
    ...more,
  };
  delete tags[without];
  const names = Object.keys(tags);
  const entries: Buffer[] = [];
  const bodies: Buffer[] = [];
  let at = 132 + 12 * names.length;
  for (const name of names) {
    const body = Buffer.concat([tags[name]!, Buffer.alloc(-tags[name]!.length & 3)]);
    entries.push(Buffer.from(name), word(at), word(body.length));
    bodies.push(body);
    at += body.length;
  }
  const header = Buffer.alloc(128);
  header.writeUInt32BE(at, 0);
  header.writeUInt32BE(0x02400000, 8);
  header.write('mntrRGB XYZ ', 12, 'latin1');
  header.write('acsp', 36, 'latin1');
  fixed(0.9642, 1, 0.8249).copy(header, 68);
  return Buffer.concat([header, word(names.length), ...entries, ...bodies]);
}

/** The JPEG with this profile in it, as part `part` of `parts`. */
export const withProfile = (jpeg: Buffer, profile: Buffer, part = 1, parts = 1): Buffer =>
  withSegment(jpeg, 0xe2, Buffer.concat([Buffer.from(`ICC_PROFILE\0`, 'latin1'), Buffer.from([part, parts]), profile]));
