/** Threads that decode plain JPEGs. Started as they are needed; none keeps the process alive. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { ModelCard } from '../../../schemas/model-card.ts';
import type { FastCut } from './cut.ts';
import type { FastSize } from './header.ts';
import type { CutRequest, FromCutThread } from './messages.ts';

export interface FastJpegPool {
  /** Resolves when the first thread is up, or has failed to come up: the fast path is an advantage, not a need. */
  start(): Promise<void>;
  /** null where the slow path has to decide: the data is not clean, or no thread can be had. Never rejects. */
  cut(bytes: Buffer, size: FastSize, inputs: readonly ModelCard['input'][]): Promise<FastCut | null>;
  /** What is under way is answered with null. */
  stop(): Promise<void>;
}

interface Thread {
  readonly worker: Worker;
  /** Requests under way; the thread answers in their order. */
  readonly waiting: ((answer: FastCut | null) => void)[];
}

/** Memory for pictures on their way to a thread, in steps so that pictures of like size can use each other's. */
const [sparesKept, spareStep, largestSpare] = [8, 64 * 1024, 1024 * 1024];

/** One works, one lies ready: a thread does not wait for the main one between two pictures. */
const ahead = 2;

export function fastJpegPool(width = Math.min(4, availableParallelism())): FastJpegPool {
  const threads = new Set<Thread>();
  const spare: ArrayBuffer[] = [];
  let starting: Promise<void> | null = null;
  /** Stopped, or the code cannot be loaded here: no thread will do better. */
  let over = false;

  function hire(): Promise<void> {
    const worker = new Worker(new URL('./worker-entry.mjs', import.meta.url));
    const thread: Thread = { worker, waiting: [] };
    return new Promise((settled) => {
      worker.on('message', (message: FromCutThread) => {
        if (message === 'ready') {
          threads.add(thread);
          settled();
        } else {
          if (spare.length < sparesKept && message.bytes.buffer.byteLength <= largestSpare) spare.push(message.bytes.buffer);
          thread.waiting.shift()?.(message.cut);
        }
        if (thread.waiting.length === 0) worker.unref();
      });
      // 'exit' follows; without a listener it would end the process.
      worker.on('error', () => {});
      worker.on('exit', () => {
        over ||= !threads.delete(thread);
        for (const done of thread.waiting.splice(0)) done(null);
        settled();
      });
    });
  }

  function startAnother(): Promise<void> {
    return (starting ??= hire().finally(() => (starting = null)));
  }

  /** New memory for each picture would be garbage by the megabyte a second, and its collection costs more than the copy. */
  function memoryFor(size: number): ArrayBuffer {
    const at = spare.findIndex(({ byteLength }) => byteLength >= size);
    return spare.splice(at, at < 0 ? 0 : 1)[0] ?? new ArrayBuffer(Math.ceil(size / spareStep) * spareStep);
  }

  const freest = (): Thread | undefined => [...threads].sort((a, b) => a.waiting.length - b.waiting.length)[0];

  return {
    async start() {
      if (threads.size === 0) await startAnother();
    },
    async cut(bytes, size, inputs) {
      if (threads.size === 0 && !over) await startAnother();
      const thread = freest();
      if (!thread) return null;
      if (thread.waiting.length >= ahead && threads.size < width && !over) void startAnother();
      const answer = new Promise<FastCut | null>((done) => thread.waiting.push(done));
      // A slice of a fetch from Kafka: it cannot be moved, and is a tenth of its pixels.
      const copy = new Uint8Array(memoryFor(bytes.length), 0, bytes.length);
      copy.set(bytes);
      thread.worker.ref();
      thread.worker.postMessage({ bytes: copy, size, inputs } satisfies CutRequest, [copy.buffer]);
      return answer;
    },
    async stop() {
      over = true;
      await starting;
      await Promise.all([...threads].map(({ worker }) => worker.terminate()));
    },
  };
}
