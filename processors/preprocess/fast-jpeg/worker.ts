/** A thread that decodes: the thread that answers Kafka's heartbeats is not to wait for pixels. */
import { parentPort } from 'node:worker_threads';
import { fastCutter } from './cut.ts';
import type { CutRequest, FromCutThread } from './messages.ts';

const port = parentPort!;
const cut = fastCutter();

port.on('message', ({ bytes, size, inputs }: CutRequest) => {
  let answer: FromCutThread = null;
  try {
    answer = cut(bytes, size, inputs);
  } catch {
    // libvips has the last word on what is broken, and says it better.
  }
  port.postMessage(answer, answer?.tensors.map(({ buffer }) => buffer) ?? []);
});
port.postMessage('ready' satisfies FromCutThread);
