/** A worker thread: ONNX Runtime blocks the thread it runs on, so this one answers nothing else. */
import { parentPort } from 'node:worker_threads';
import { giveWay } from './give-way.ts';
import type { FromWorker, Reply, RowAnswer, ToWorker } from './messages.ts';
import { openFolded } from './open-folded.ts';
import { grey, type Outputs, type Session } from './session.ts';

type Ask<K extends ToWorker['kind']> = Extract<ToWorker, { kind: K }>;

const port = parentPort!;
/** Added to the niceness of the process: a third of the weight of the threads that read, decode and send. */
const courtesy = 5;
const sessions = new Map<string, Session>();
/** ONNX Runtime takes no shared memory. By bytes, since it wants exactly as many as the rows have: runs have a few sizes. */
const tensors = new Map<number, Uint8Array<ArrayBuffer>>();
const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function load({ graph, providers, intraOpThreads, fold }: Ask<'load'>): Promise<Reply<'loaded'> | Reply<'refused'>> {
  const refused: string[] = [];
  for (const provider of providers) {
    try {
      const { session, folding } = await openFolded(graph, provider, intraOpThreads, fold);
      await release([graph.key]);
      sessions.set(graph.key, session);
      return { kind: 'loaded', provider, refused, dynamic: session.dynamic, folding };
    } catch (error) {
      refused.push(`${provider}: ${reason(error)}`);
    }
  }
  return { kind: 'refused', reasons: refused };
}

async function measure({ key, rows, repeats }: Ask<'measure'>): Promise<Reply<'measured'> | Reply<'refused'>> {
  const session = sessions.get(key)!;
  const input = grey(session.graph, rows);
  let ms = Infinity;
  try {
    // The first run of a size allocates, and may compile.
    await session.run(rows, input);
    for (let i = 0; i < repeats; i++) {
      const started = performance.now();
      await session.run(rows, input);
      ms = Math.min(ms, performance.now() - started);
    }
  } catch (error) {
    // Too much for the device's memory, say.
    return { kind: 'refused', reasons: [reason(error)] };
  }
  return { kind: 'measured', ms };
}

async function run({ key, heads, pixels }: Ask<'run'>): Promise<Reply<'answers'>> {
  const started = performance.now();
  let mine = tensors.get(pixels.length);
  if (!mine) tensors.set(pixels.length, (mine = new Uint8Array(pixels.length)));
  mine.set(pixels);
  const rows = await answer(sessions.get(key)!, heads.length, mine);
  await Promise.all([...new Set(heads)].map((head) => (head === null ? null : think(sessions.get(head)!, rows, heads))));
  return { kind: 'answers', ms: performance.now() - started, rows };
}

async function answer(session: Session, rows: number, pixels: Uint8Array<ArrayBuffer>): Promise<RowAnswer[]> {
  try {
    return split(await session.run(rows, pixels), rows);
  } catch (error) {
    if (rows === 1) return [{ failure: reason(error) }];
    // One bad row, or a batch the device has no memory for: each row gets its own chance.
    const size = pixels.length / rows;
    const alone: RowAnswer[] = [];
    for (let row = 0; row < rows; row++) alone.push(...(await answer(session, 1, pixels.slice(row * size, (row + 1) * size))));
    return alone;
  }
}

/** Adds a head's outputs to those of the rows it was asked for, all of them in one run. */
async function think(head: Session, rows: RowAnswer[], heads: readonly (string | null)[]): Promise<void> {
  const { input, key } = head.graph;
  if (input.kind !== 'embedding') return;
  const mine = rows.flatMap((row, i) => (heads[i] === key && 'outputs' in row ? [{ i, outputs: row.outputs }] : []));
  if (mine.length === 0) return;
  const embeddings = new Float32Array(mine.length * input.size);
  mine.forEach(({ outputs }, at) => embeddings.set(outputs[input.embedding]!, at * input.size));
  try {
    const answers = head.dynamic ? split(await head.run(mine.length, embeddings), mine.length) : await oneByOne(head, embeddings, mine.length, input.size);
    mine.forEach(({ i, outputs }, at) => {
      rows[i] = { outputs: { embedding: outputs[input.embedding]!, ...answers[at]!.outputs } };
    });
  } catch (error) {
    for (const { i } of mine) rows[i] = { failure: `${key}: ${reason(error)}` };
  }
}

async function oneByOne(head: Session, embeddings: Float32Array<ArrayBuffer>, rows: number, size: number): Promise<{ outputs: Outputs }[]> {
  const answers: { outputs: Outputs }[] = [];
  for (let row = 0; row < rows; row++) answers.push(...split(await head.run(1, embeddings.slice(row * size, (row + 1) * size)), 1));
  return answers;
}

function split(outputs: Outputs, rows: number): { outputs: Outputs }[] {
  return Array.from({ length: rows }, (_, row) => {
    const own = Object.entries(outputs).map(([name, all]): [string, Float32Array<ArrayBuffer>] => {
      const size = all.length / rows;
      return [name, all.slice(row * size, (row + 1) * size)];
    });
    return { outputs: Object.fromEntries(own) };
  });
}

async function release(keys: Iterable<string>): Promise<void> {
  for (const key of keys) {
    await sessions.get(key)?.release();
    sessions.delete(key);
  }
}

const handle: { [K in Exclude<ToWorker['kind'], 'close'>]: (message: Ask<K>) => Promise<FromWorker> } = {
  load,
  measure,
  run,
  async unload({ key }) {
    await release([key]);
    // Other models' runs make theirs anew.
    tensors.clear();
    return { kind: 'unloaded' };
  },
};

/** What is moved with a message instead of being copied. A buffer may be there twice: a head's row keeps the embedding. */
function moved(message: FromWorker): ArrayBuffer[] {
  if (message.kind !== 'answers') return [];
  return [...new Set(message.rows.flatMap((row) => ('outputs' in row ? Object.values(row.outputs).map(({ buffer }) => buffer) : [])))];
}

giveWay(courtesy);
port.on('message', async (message: ToWorker) => {
  if (message.kind === 'close') {
    // In this order: a process that exits while sessions live aborts in ONNX Runtime's own clean-up.
    await release(sessions.keys());
    return port.close();
  }
  const reply = await (handle[message.kind] as (message: ToWorker) => Promise<FromWorker>)(message);
  port.postMessage(reply, moved(reply));
});
port.postMessage({ kind: 'up' } satisfies FromWorker);
