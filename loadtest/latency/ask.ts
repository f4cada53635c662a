/** One request to the edge, and how long its phases took. Milliseconds. */
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { SaccadeError } from '../../connectors/errors.ts';
import { distinct } from '../distinct.ts';

/** Those of the answer's timings_ms: produce (acknowledged by the log), queue (waiting for preprocess), decode, tensor_queue, infer, total as the edge saw it; `client`: all of it. */
export const phases = ['produce', 'queue', 'decode', 'tensor_queue', 'infer', 'total', 'client'] as const;
export type Phase = (typeof phases)[number];

export const picture = await sharp(fileURLToPath(new URL('../../media/coffee.jpg', import.meta.url))).resize(640, 480, { fit: 'fill' }).jpeg({ quality: 85 }).toBuffer();

interface Refusal {
  readonly title?: string;
  readonly detail?: string;
}

/** Throws bad_request with what the edge answered. */
export async function ask(url: string, model: string): Promise<Record<Phase, number>> {
  const startedAt = performance.now();
  const response = await fetch(`${url}/v1/infer?model=${model}`, { method: 'POST', headers: { 'content-type': 'image/jpeg' }, body: new Uint8Array(distinct(picture, randomUUID())) });
  const body = (await response.json()) as Refusal & { timings_ms?: Record<string, number> };
  if (!body.timings_ms) throw new SaccadeError('bad_request', `${model} answered ${response.status}: ${body.title} ${body.detail ?? ''}`);
  return { ...(body.timings_ms as Record<Phase, number>), client: performance.now() - startedAt };
}

/** Of one request with so many pictures, for each of them. */
export async function askBatch(url: string, model: string, count: number): Promise<number> {
  const form = new FormData();
  for (let i = 0; i < count; i++) form.append('images', new Blob([new Uint8Array(distinct(picture, randomUUID()))], { type: 'image/jpeg' }), `${i}.jpg`);
  const startedAt = performance.now();
  const response = await fetch(`${url}/v1/batch_infer?model=${model}`, { method: 'POST', body: form });
  const body = (await response.json()) as Refusal & { errors?: number };
  if (!response.ok || body.errors !== 0) throw new SaccadeError('bad_request', `a batch of ${count} answered ${response.status}: ${JSON.stringify(body).slice(0, 300)}`);
  return (performance.now() - startedAt) / count;
}
