/**
 * A graph made faster before it is opened, by what ONNX Runtime's own optimiser leaves: the way from a picture's bytes to the first
 * convolution. Only patterns that are known exactly; the answers are those of the file (to rounding), the file stays as it is.
 */
import { foldPools } from './fold-pool.ts';
import { foldPreamble } from './fold-preamble.ts';
import { foldStem, type Size } from './fold-stem.ts';
import { readGraph } from './graph.ts';

export interface Folded {
  readonly bytes: Uint8Array;
  /** What was done, for a person. */
  readonly done: readonly string[];
}

/** `picture`: the name of the graph's input, uint8 NHWC of this size. Null when there is nothing to fold. Throws TypeError when the bytes are no ONNX model. */
export function foldGraph(bytes: Uint8Array, picture: string, size: Size): Folded | null {
  const graph = readGraph(bytes);
  if (!graph) return null;
  const done = [foldPreamble(graph, picture), foldStem(graph, picture, size), foldPools(graph)].filter((each) => each !== null);
  return done.length > 0 ? { bytes: graph.write(), done } : null;
}
