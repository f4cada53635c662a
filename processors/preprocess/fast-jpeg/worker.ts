/** A thread that decodes: the thread that answers Kafka's heartbeats is not to wait for pixels. */
import { parentPort } from 'node:worker_threads';
import type { Quality } from '../../../schemas/records.ts';
import { fastCutter } from './cut.ts';
import type { CutRequest, FromCutThread } from './messages.ts';

const port = parentPort!;
const cut = fastCutter();

port.on('message', ({ bytes, size, inputs, into }: CutRequest) => {
  let quality: Quality | null = null;
  try {
    quality = cut(bytes, size, inputs, into).quality;
  } catch {
    // libvips has the last word on what is broken, and says it better.
  }
  port.postMessage({ quality } satisfies FromCutThread);
});
port.postMessage('ready' satisfies FromCutThread);
