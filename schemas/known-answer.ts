/** Answers as a cache holds them: what names one, and the bytes it is kept as. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { answerDigest, type Model } from './model-card.ts';
import type { Answer, Quality } from './records.ts';

/** An answer, and what else the record of a later frame needs to say of the same picture. */
export interface KnownAnswer extends Answer {
  readonly image_width: number;
  readonly image_height: number;
  readonly quality: Quality;
}

/** Goes up with any change to decoding, scaling or postprocessing that changes answers: older ones are then never met again. */
const format = 1;

const digests = new WeakMap<Model, string>();

/** What decides a model's answer, beside the picture. */
function digestOf(model: Model): string {
  let digest = digests.get(model);
  if (digest === undefined) {
    digest = answerDigest(model).slice(0, 32);
    digests.set(model, digest);
  }
  return digest;
}

/** `content` is the tensor's. Readable from the left, so that a person can count or delete a model's answers. */
export const answerKey = (content: string, model: Model): string =>
  `saccade:answer:${format}:${model.card.name}:${model.card.version}:${digestOf(model)}:${content}`;

const classId = z.int().min(-0x8000_0000).max(0x7fff_ffff);
const label = { class_id: classId, label: z.string(), score: z.number() };
const corner = z.number();
const answerSchema = z.strictObject({
  version: z.string(),
  task: z.string(),
  labels: z.array(z.strictObject(label)),
  detections: z.array(z.strictObject({ ...label, x1: corner, y1: corner, x2: corner, y2: corner })),
  embedding: z.base64().nullable(),
  image_width: z.int().positive(),
  image_height: z.int().positive(),
  quality: z.strictObject({ luma: z.number(), contrast: z.number(), sharpness: z.number(), saturation: z.number().nullable().default(null), entropy: z.number().nullable().default(null) }),
});

const sealBytes = 16;
/** Of the key too: a value that got under another key is not an answer there. */
const seal = (key: string, body: Buffer): Buffer => createHash('sha256').update(key).update('\0').update(body).digest().subarray(0, sealBytes);

/** A seal of 16 bytes, then JSON. A number that is not finite becomes null there, and is not an answer when it is read. */
export function encodeAnswer(key: string, { embedding, ...answer }: KnownAnswer): Buffer {
  const body = Buffer.from(JSON.stringify({ ...answer, embedding: embedding?.toString('base64') ?? null }));
  return Buffer.concat([seal(key, body), body]);
}

/** Null for whatever is not whole, not of this key or not an answer: a cache may hold anything. */
export function decodeAnswer(key: string, bytes: Buffer): KnownAnswer | null {
  const body = bytes.subarray(sealBytes);
  if (!seal(key, body).equals(bytes.subarray(0, sealBytes))) return null;
  try {
    const parsed = answerSchema.safeParse(JSON.parse(body.toString()));
    if (!parsed.success) return null;
    const { embedding, ...answer } = parsed.data;
    return { ...answer, embedding: embedding === null ? null : Buffer.from(embedding, 'base64') };
  } catch {
    return null;
  }
}
