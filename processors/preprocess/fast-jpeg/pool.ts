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
  /** A tensor of this pool that nobody will read again: its memory is cut into anew. */
  reuse(tensor: Uint8Array): void;
  /** What is under way is answered with null. */
  stop(): Promise<void>;
}

interface Thread {
  readonly worker: Worker;
  /** Requests under way; the thread answers in their order. */
  readonly waiting: ((answer: FastCut | null) => void)[];
}

/** Memory for pictures on their way to a thread, in steps so that pictures of like size can use each other's. */
/** Tensors' memory that lies ready, by inputs and runs under way: more than come back together. */
const tensorsKept = 64;
const [sparesKept, spareStep, largestSpare] = [8, 64 * 1024, 1024 * 1024];

/** One works, one lies ready: a thread does not wait for the main one between two pictures. */
const ahead = 2;

export function fastJpegPool(width = Math.min(4, availableParallelism())): FastJpegPool {
  const threads = new Set<Thread>();
  const spare: ArrayBuffer[] = [];
  const given = new WeakSet<ArrayBufferLike>();
  const tensors: ArrayBuffer[] = [];
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
          for (const { buffer } of message.cut?.tensors ?? []) given.add(buffer);
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

  function tensorFor(input: ModelCard['input']): ArrayBuffer | null {
    const at = tensors.findIndex(({ byteLength }) => byteLength === input.height * input.width * 3);
    return at < 0 ? null : tensors.splice(at, 1)[0]!;
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
      const into = inputs.map(tensorFor);
      thread.worker.postMessage({ bytes: copy, size, inputs, into } satisfies CutRequest, [copy.buffer, ...into.filter((buffer) => buffer !== null)]);
      return answer;
    },
    reuse({ buffer }) {
      // Once: it may be asked twice for the same one.
      if (given.delete(buffer) && tensors.length < tensorsKept) tensors.push(buffer as ArrayBuffer);
    },
    async stop() {
      over = true;
      await starting;
      await Promise.all([...threads].map(({ worker }) => worker.terminate()));
    },
  };
}
