/** A thread that decodes: the thread that answers Kafka's heartbeats is not to wait for pixels. */
import { parentPort } from 'node:worker_threads';
import { type FastCut, fastCutter } from './cut.ts';
import type { CutRequest, FromCutThread } from './messages.ts';

const port = parentPort!;
const cut = fastCutter();

port.on('message', ({ bytes, size, inputs, into }: CutRequest) => {
  let found: FastCut | null = null;
  try {
    found = cut(bytes, size, inputs, into);
  } catch {
    // libvips has the last word on what is broken, and says it better.
  }
  port.postMessage({ cut: found, bytes } satisfies FromCutThread, [bytes.buffer, ...(found?.tensors.map(({ buffer }) => buffer) ?? [])]);
});
port.postMessage('ready' satisfies FromCutThread);
