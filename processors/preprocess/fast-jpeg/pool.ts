/** Threads that decode plain JPEGs. Started as they are needed; none keeps the process alive. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { ModelCard } from '../../../schemas/model-card.ts';
import type { FastCut } from './cut.ts';
import type { FastSize } from './header.ts';
import type { CutReply, CutRequest, FromCutThread } from './messages.ts';

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
  /** Requests under way; the thread answers in their order. null: it has ended. */
  readonly waiting: ((reply: CutReply | null) => void)[];
}

/** Memory for pictures on their way to a thread, in steps so that pictures of like size can use each other's. */
const [sparesKept, spareStep, largestSpare] = [8, 64 * 1024, 1024 * 1024];
/** Tensors' memory that lies ready, by inputs and runs under way: more than come back together. */
const tensorsKept = 64;

/** One works, one lies ready: a thread does not wait for the main one between two pictures. */
const ahead = 2;

export function fastJpegPool(width = Math.min(4, availableParallelism())): FastJpegPool {
  const threads = new Set<Thread>();
  const spare: SharedArrayBuffer[] = [];
  const given = new WeakSet<ArrayBufferLike>();
  const tensors: SharedArrayBuffer[] = [];
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
          thread.waiting.shift()?.(message);
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
  function memoryFor(size: number): SharedArrayBuffer {
    const at = spare.findIndex(({ byteLength }) => byteLength >= size);
    return spare.splice(at, at < 0 ? 0 : 1)[0] ?? new SharedArrayBuffer(Math.ceil(size / spareStep) * spareStep);
  }

  function tensorFor(input: ModelCard['input']): SharedArrayBuffer {
    const bytes = input.height * input.width * 3;
    const at = tensors.findIndex(({ byteLength }) => byteLength === bytes);
    return tensors.splice(at, at < 0 ? 0 : 1)[0] ?? new SharedArrayBuffer(bytes);
  }

  function keep(tensor: SharedArrayBuffer): void {
    if (tensors.length < tensorsKept) tensors.push(tensor);
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
      const answered = new Promise<CutReply | null>((done) => thread.waiting.push(done));
      const copy = new Uint8Array(memoryFor(bytes.length), 0, bytes.length);
      copy.set(bytes);
      thread.worker.ref();
      const into = inputs.map(tensorFor);
      thread.worker.postMessage({ bytes: copy, size, inputs, into } satisfies CutRequest, []);
      const reply = await answered;
      // What a thread had when it ended is not used again: who knows what it still does.
      if (!reply) return null;
      if (spare.length < sparesKept && copy.buffer.byteLength <= largestSpare) spare.push(copy.buffer);
      if (!reply.quality) {
        into.forEach(keep);
        return null;
      }
      for (const tensor of into) given.add(tensor);
      return { quality: reply.quality, tensors: into.map((tensor) => new Uint8Array(tensor)) };
    },
    reuse({ buffer }) {
      // Once: it may be asked twice for the same one.
      if (given.delete(buffer)) keep(buffer as SharedArrayBuffer);
    },
    async stop() {
      over = true;
      await starting;
      await Promise.all([...threads].map(({ worker }) => worker.terminate()));
    },
  };
}
