/** What may happen to a camera, from slight to strong, done to its pictures. */
import { readFileSync } from 'node:fs';
import sharp, { type Sharp } from 'sharp';
import { normal } from '../../processors/drift/statistics/random.ts';

export const strengths = ['slight', 'moderate', 'strong'] as const;
export type Strength = (typeof strengths)[number];

export interface Shift {
  readonly kind: string;
  readonly strength: Strength;
  /** A JPEG as the camera sends it then. */
  apply(jpeg: Buffer): Promise<Buffer>;
}

/** As good a picture as the unchanged ones are, so that nothing but the shift is new. */
const usualQuality = 90;
const out = (image: Sharp, quality = usualQuality): Promise<Buffer> => image.jpeg({ quality }).toBuffer();

const noisy = async (jpeg: Buffer, deviation: number): Promise<Buffer> => {
  const { data, info } = await sharp(jpeg).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const bell = normal(data.length ^ data[data.length >> 1]!);
  for (let i = 0; i < data.length; i++) data[i] = Math.max(0, Math.min(255, Math.round(data[i]! + deviation * bell())));
  return out(sharp(data, { raw: { width: info.width, height: info.height, channels: 3 } }));
};

/** The camera has been knocked: the view has shifted by a share of its width, and what lies beyond was never seen. */
const moved = async (jpeg: Buffer, share: number): Promise<Buffer> => {
  const { width, height } = await sharp(jpeg).metadata();
  const [left, top] = [Math.round(width * share), Math.round(height * share * 0.5)];
  return out(sharp(jpeg).extract({ left, top, width: width - left, height: height - top }).resize(width, height, { fit: 'cover' }));
};

const stranger = readFileSync(new URL('../../media/chelsea.jpg', import.meta.url));

/** A class that was never there: a cat, over a third of the picture. */
const intruded = async (jpeg: Buffer): Promise<Buffer> => {
  const { width, height } = await sharp(jpeg).metadata();
  const cat = await sharp(stranger).resize(Math.round(width * 0.4), Math.round(height * 0.5), { fit: 'cover' }).toBuffer();
  return out(sharp(jpeg).composite([{ input: cat, left: Math.round(width * 0.1), top: Math.round(height * 0.45) }]));
};

const three = (kind: string, by: readonly [number, number, number], how: (jpeg: Buffer, amount: number) => Promise<Buffer>): Shift[] =>
  strengths.map((strength, i) => ({ kind, strength, apply: (jpeg) => how(jpeg, by[i]!) }));

/** Done to the pictures. */
export const pictureShifts: readonly Shift[] = [
  ...three('dark', [0.85, 0.6, 0.35], (jpeg, gain) => out(sharp(jpeg).linear(gain, 0))),
  ...three('blur', [0.7, 1.5, 3], (jpeg, sigma) => out(sharp(jpeg).blur(sigma))),
  ...three('noise', [4, 10, 25], noisy),
  ...three('JPEG quality', [50, 20, 8], (jpeg, quality) => out(sharp(jpeg), quality)),
  ...three('camera moved', [0.03, 0.1, 0.25], moved),
  ...three('colour cast', [0.05, 0.15, 0.3], (jpeg, cast) => out(sharp(jpeg).linear([1 + cast, 1, 1 - cast], [0, 0, 0]))),
];

/** Seen in some of the frames only: how many, is the simulation's to say. */
export const intruder: Shift = { kind: 'new class', strength: 'strong', apply: intruded };
/** Shares of the stretches of footage in which the intruder is seen, by strength. */
export const intruderShares = { slight: 0.05, moderate: 0.2, strong: 0.5 } as const;
/** How much likelier a stretch is by each deviation it has more of what is usual there, by strength, as a logarithm. */
export const mixTilts = { slight: 0.3, moderate: 0.8, strong: 2 } as const;
