/** A Pad before a MaxPool, as TensorFlow's exports have it, becomes the pool's own: it copies the largest tensors of a network for nothing. */
import { isOp, type Graph } from './graph.ts';
import { changed, type Node } from './node.ts';

const lowestFloat = -3.4028234663852886e38;

/** What it did, for a person; null when there is none. */
export function foldPools(graph: Graph): string | null {
  let folded = 0;
  for (const pad of graph.nodes.filter((node) => isOp(node, 'Pad'))) {
    const pool = graph.only(pad.outputs[0]!);
    const pads = isOp(pool, 'MaxPool') ? padsOf(graph, pad, pool) : null;
    if (!pads) continue;
    graph.replace([pad, pool!], [changed(pool!, { inputs: [pad.inputs[0]!], given: { pads }, without: ['auto_pad'] })]);
    folded += 1;
  }
  return folded > 0 ? `padding in ${folded === 1 ? 'a pool' : `${folded} pools`}` : null;
}

/** A pool pads with what no maximum is. */
function padsOf(graph: Graph, pad: Node, pool: Node): number[] | null {
  const values = graph.constant(pad.inputs[1] ?? '')?.values;
  const value = graph.constant(pad.inputs[2] ?? '')?.values[0];
  const kernel = pool.attributes.get('kernel_shape')?.ints ?? [];
  const plain = pad.inputs.length === 3 && pool.outputs.length === 1 && (pad.attributes.get('mode')?.string ?? 'constant') === 'constant';
  const own = pool.attributes.get('auto_pad')?.string ?? 'NOTSET';
  const bare = own === 'VALID' || (own === 'NOTSET' && (pool.attributes.get('pads')?.ints ?? []).every((each) => each === 0));
  if (!plain || !bare || (pool.attributes.get('ceil_mode')?.int ?? 0) !== 0) return null;
  if (value === undefined || value > lowestFloat || values?.length !== 8 || kernel.length !== 2) return null;
  const pads = [2, 3, 6, 7].map((at) => values[at]!);
  const within = pads.every((each, i) => each >= 0 && each < kernel[i % 2]!) && [0, 1, 4, 5].every((at) => values[at] === 0);
  return within ? pads : null;
}
