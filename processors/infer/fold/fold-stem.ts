/**
 * A quantised first convolution of stride 2 on groups of four pixels (space-to-depth along the row, which for NHWC bytes is no more
 * than another shape): 12 channels are a multiple of what ONNX Runtime's int8 kernels take at once, 3 are not, and are gathered byte by
 * byte. A group makes two pixels of the answer, so the outputs of one lie beside each other, and are another shape again. Same sums, to the bit.
 */
import { isOp, type Graph } from './graph.ts';
import { changed, makeNode, type Node } from './node.ts';
import { int64s, type Tensor, types } from './tensor.ts';

const pixels = 4;
const channels = 3;
const stride = 2;
/** Pixels of the answer that a group makes. */
const made = pixels / stride;
/** What the kernels make at once. */
const together = 16;

interface Stem {
  readonly toPlanes: Node;
  readonly dequantise: Node;
  readonly conv: Node;
  readonly quantise: Node;
  /** Dequantises the weights, and the bias if there is one. */
  readonly unpack: readonly Node[];
  readonly weights: Tensor;
}

export interface Size {
  readonly height: number;
  readonly width: number;
}

/** What it did, for a person; null when the graph begins in some other way. */
export function foldStem(graph: Graph, picture: string, { height, width }: Size): string | null {
  const stem = find(graph, picture);
  const plan = stem && width % pixels === 0 ? planOf(stem, { height, width }) : null;
  if (!plan) return null;
  const { toPlanes, dequantise, conv, quantise, unpack, weights } = stem!;
  const grouped = graph.fresh(`${picture}_groups`);
  const reshaped = makeNode('Reshape', [picture, graph.add(`${picture}_groups_shape`, int64s([0, height, width / pixels, pixels * channels]))], [grouped]);
  const unpacked = unpack.map((node, i) => regrouped(graph, node, i === 0 ? spread(weights, plan) : null));
  const [sums, apart, joined] = [quantise.outputs[0]!, `${quantise.outputs[0]}_groups`, `${quantise.outputs[0]}_rows`].map(graph.fresh) as [string, string, string];
  graph.replace([toPlanes], [reshaped, changed(toPlanes, { inputs: [grouped] })]);
  graph.replace([conv], [
    ...unpacked,
    changed(conv, {
      inputs: [dequantise.outputs[0]!, ...unpacked.map(({ outputs }) => outputs[0]!)],
      given: { strides: [plan.strides[0], 1], kernel_shape: [weights.dims[2]!, plan.kernel], pads: plan.pads },
      without: ['auto_pad'],
    }),
  ]);
  graph.replace([quantise], [
    changed(quantise, { outputs: [sums] }),
    makeNode('Transpose', [sums], [apart], { perm: [0, 2, 3, 1] }),
    makeNode('Reshape', [apart, graph.add(`${quantise.outputs[0]}_shape`, int64s([0, plan.rows, plan.columns, weights.dims[0]!]))], [joined]),
    makeNode('Transpose', [joined], [quantise.outputs[0]!], { perm: [0, 3, 1, 2] }),
  ]);
  return 'its pixels in groups of four';
}

/** Transpose, DequantizeLinear, Conv, QuantizeLinear, of bytes and int8 weights. */
function find(graph: Graph, picture: string): Stem | null {
  const toPlanes = graph.only(picture);
  const dequantise = isOp(toPlanes, 'Transpose') ? graph.only(toPlanes.outputs[0]!) : null;
  const conv = isOp(dequantise, 'DequantizeLinear') ? graph.only(dequantise.outputs[0]!) : null;
  const quantise = isOp(conv, 'Conv') ? graph.only(conv.outputs[0]!) : null;
  if (!toPlanes || !dequantise || !conv || !isOp(quantise, 'QuantizeLinear') || conv.inputs[0] !== dequantise.outputs[0]) return null;
  if (toPlanes.attributes.get('perm')?.ints.join() !== '0,3,1,2') return null;
  const unpack = conv.inputs.slice(1).map((name) => graph.producer(name));
  const weights = graph.constant(unpack[0]?.inputs[0] ?? '');
  const ready = unpack.every((node) => isOp(node, 'DequantizeLinear') && node.inputs.every((name) => graph.constant(name)));
  // What a kernel does not look at is filled up with zeros, which must mean nothing.
  const zero = unpack[0]?.inputs[2] === undefined || graph.constant(unpack[0].inputs[2])?.values.every((each) => each === 0);
  // Scales of the answer by channel would be in the way of its grouping.
  if (!ready || !zero || weights?.type !== types.int8 || graph.constant(quantise.inputs[1]!)?.values.length !== 1) return null;
  return { toPlanes, dequantise, conv, quantise, unpack: unpack as Node[], weights };
}

interface Plan {
  readonly strides: readonly [number, number];
  /** Width of the kernel, in groups, and pads as ONNX has them: top, left, bottom, right. */
  readonly kernel: number;
  readonly pads: readonly number[];
  /** The group a kernel begins with, from the one it makes pixels of: 0 or less. */
  readonly first: number;
  /** Pixels of padding on the left, before. */
  readonly left: number;
  readonly rows: number;
  readonly columns: number;
}

function planOf({ conv, weights, unpack }: Stem, { height, width }: Size): Plan | null {
  const ints = (name: string, unless: readonly number[]): readonly number[] => conv.attributes.get(name)?.ints ?? unless;
  const [outputs, inputs, down, across] = weights.dims as [number, number, number, number];
  const [strides, dilations, [top, left, bottom, right]] = [ints('strides', [1, 1]), ints('dilations', [1, 1]), ints('pads', [0, 0, 0, 0]) as [number, number, number, number]];
  const given = ['NOTSET', 'VALID'].includes(conv.attributes.get('auto_pad')?.string ?? 'NOTSET');
  const byOutput = unpack.every((node) => (node.attributes.get('axis')?.int ?? 1) === 0);
  const plain = given && byOutput && inputs === channels && weights.dims.length === 4 && (conv.attributes.get('group')?.int ?? 1) === 1 && dilations.every((each) => each === 1);
  if (!plain || strides[1] !== stride || (outputs * made) % together !== 0) return null;
  const rows = Math.floor((height + top + bottom - down) / strides[0]!) + 1;
  const columns = Math.floor((width + left + right - across) / stride) + 1;
  const first = Math.floor(-left / pixels);
  const kernel = Math.floor((stride * (made - 1) + across - 1 - left) / pixels) - first + 1;
  const lacking = columns / made - width / pixels + first + kernel - 1;
  if (columns % made !== 0 || lacking < 0) return null;
  return { strides: [strides[0]!, stride], kernel, pads: [top, -first, bottom, lacking], first, left, rows, columns };
}

/** The kernel, once for each pixel that a group makes, each at its place among the groups it looks at. */
function spread(weights: Tensor, { kernel, first, left }: Plan): Tensor {
  const [outputs, , down, across] = weights.dims as [number, number, number, number];
  const dims = [made * outputs, pixels * channels, down, kernel];
  const values = new Float64Array(dims.reduce((product, dim) => product * dim, 1));
  for (let j = 0; j < made; j++) {
    for (let x = 0; x < across; x++) {
      const pixel = j * stride + x - left - first * pixels;
      const [group, within] = [Math.floor(pixel / pixels), pixel % pixels];
      for (let o = 0; o < outputs; o++) {
        for (let c = 0; c < channels; c++) {
          for (let y = 0; y < down; y++) {
            const to = (((j * outputs + o) * dims[1]! + within * channels + c) * down + y) * kernel + group;
            values[to] = weights.values[((o * channels + c) * down + y) * across + x]!;
          }
        }
      }
    }
  }
  return { ...weights, dims, values };
}

/** A DequantizeLinear of constants by output, for as many outputs as there are now. */
function regrouped(graph: Graph, node: Node, values: Tensor | null): Node {
  const inputs = node.inputs.map((name, i) => {
    const constant = graph.constant(name)!;
    if (i === 0 && values) return graph.add(name, values);
    return constant.values.length === 1 ? name : graph.add(name, twice(constant));
  });
  return changed(node, { inputs, outputs: [graph.fresh(node.outputs[0]!)] });
}

const twice = (constant: Tensor): Tensor => ({ ...constant, dims: [constant.dims[0]! * made], values: Float64Array.from({ length: constant.values.length * made }, (_, i) => constant.values[i % constant.values.length]!) });
