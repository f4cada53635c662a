/** Opens a graph folded (fold/), where that has the same answers as its file. */
import { readFile } from 'node:fs/promises';
import { foldGraph, type Folded } from './fold/fold.ts';
import type { Folding, Graph } from './messages.ts';
import { openSession, type Outputs, type Session } from './session.ts';

interface Opened {
  readonly session: Session;
  readonly folding: Folding;
}

/** Answers may differ by rounding: by this much of an output's largest value, and for this share of the values a rank more or less. */
const tolerance = 1e-3;
const othersAtMost = 0.02;
const plain: Folding = { done: [], instead: null };
const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Throws as openSession does; what goes wrong with the folding only makes it the file. */
export async function openFolded(graph: Graph, provider: string, intraOpThreads: number, fold: 'no' | 'try' | 'yes'): Promise<Opened> {
  // What is folded is what the CPU's kernels are slow at; a device has others.
  if (fold === 'no' || provider !== 'cpu' || graph.input.kind !== 'picture') return { session: await openSession(graph, provider, intraOpThreads), folding: plain };
  if (fold === 'yes') {
    const { bytes = null, done = [] } = (await folded(graph)) ?? {};
    return { session: await openSession(graph, provider, intraOpThreads, bytes), folding: { done, instead: null } };
  }
  const session = await openSession(graph, provider, intraOpThreads);
  let quicker: Session | null = null;
  try {
    const found = await folded(graph);
    if (!found) return { session, folding: plain };
    quicker = await openSession(graph, provider, intraOpThreads, found.bytes);
    const picture = patches(graph.input);
    const differing = difference(await session.run(1, picture), await quicker.run(1, picture));
    if (differing === null) {
      await session.release();
      return { session: quicker, folding: { done: found.done, instead: null } };
    }
    await quicker.release();
    return { session, folding: { done: [], instead: `folded, its ${differing} would be another` } };
  } catch (error) {
    await quicker?.release();
    return { session, folding: { done: [], instead: `it could not be folded: ${reason(error)}` } };
  }
}

async function folded({ path, input }: Graph): Promise<Folded | null> {
  return input.kind === 'picture' ? foldGraph(await readFile(path), input.name, input) : null;
}

/** A picture of all levels: patches of colours, whose borders lie at all distances from those of the picture. */
function patches({ height, width }: { readonly height: number; readonly width: number }): Uint8Array<ArrayBuffer> {
  const patch = 13;
  return Uint8Array.from({ length: height * width * 3 }, (_, i) => {
    const [x, y, channel] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width), i % 3];
    // Knuth's multiplicative hash.
    const hash = Math.imul(Math.floor(x / patch) * 31 + Math.floor(y / patch) * 17 + channel * 7 + 1, 2654435761) >>> 24;
    return (hash + (x % patch) * 3 + (y % patch) * 5) % 256;
  });
}

/** The output that is another, or null. */
function difference(wanted: Outputs, found: Outputs): string | null {
  const other = Object.entries(wanted).find(([name, values]) => {
    const theirs = found[name];
    if (theirs?.length !== values.length) return true;
    const allowed = tolerance * values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const differing = values.reduce((count, value, i) => count + (Math.abs(value - theirs[i]!) <= allowed || Object.is(value, theirs[i]) ? 0 : 1), 0);
    return differing > othersAtMost * values.length;
  });
  return other?.[0] ?? null;
}
