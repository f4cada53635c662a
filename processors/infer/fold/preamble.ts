/** What a graph does with the picture before its first convolution, read off its operators. */
import type { Graph } from './graph.ts';
import type { Node } from './node.ts';
import { types, type Tensor } from './tensor.ts';

/**
 * The first convolution's channel i is (channel `order[i]` of the picture - `mean[i]`) x `scale[i]`, rows by channel (NCHW).
 * The picture's pixels are uint8 NHWC of three channels.
 */
export interface Preamble {
  readonly order: readonly number[];
  readonly mean: readonly number[];
  readonly scale: readonly number[];
  /** Its operators, in order. */
  readonly nodes: readonly Node[];
  /** What they make, and who takes it. */
  readonly tensor: string;
  readonly next: Node;
}

interface Reading {
  readonly order: readonly number[];
  readonly scale: readonly number[];
  readonly offset: readonly number[];
  /** Where the channels are. */
  readonly axis: 1 | 3;
  readonly float: boolean;
}

const channels = 3;
const asRead: Reading = { order: [0, 1, 2], scale: [1, 1, 1], offset: [0, 0, 0], axis: 3, float: false };
const rank = 4;

/** Null when what it does is not this, or something else looks at the picture or at what lies between. */
export function readPreamble(graph: Graph, picture: string): Preamble | null {
  let [reading, tensor] = [asRead, picture];
  const nodes: Node[] = [];
  for (;;) {
    const next = graph.only(tensor);
    if (!next) return null;
    const after = next.domain === '' && next.outputs.length === 1 ? step(graph, next, tensor, reading) : null;
    if (!after) return reading.axis === 1 ? finished(reading, { nodes, tensor, next }) : null;
    reading = after;
    nodes.push(next);
    tensor = next.outputs[0]!;
  }
}

function finished({ order, scale, offset }: Reading, where: Pick<Preamble, 'nodes' | 'tensor' | 'next'>): Preamble | null {
  const mean = offset.map((each, i) => (each === 0 ? 0 : -each / scale[i]!));
  return scale.every((each) => each !== 0) && [...scale, ...mean].every(Number.isFinite) ? { order, mean, scale, ...where } : null;
}

function step(graph: Graph, node: Node, tensor: string, reading: Reading): Reading | null {
  switch (node.op) {
    case 'Cast':
      return node.attributes.get('to')?.int === types.float32 ? { ...reading, float: true } : null;
    case 'Transpose':
      return reading.axis === 3 && node.attributes.get('perm')?.ints.join() === '0,3,1,2' ? { ...reading, axis: 1 } : null;
    case 'Gather':
      return node.inputs[0] === tensor ? reordered(reading, gathered(graph, node, reading.axis)) : null;
    case 'Slice':
      return node.inputs[0] === tensor ? reordered(reading, turned(graph, node, reading.axis)) : null;
    case 'Add':
    case 'Sub':
    case 'Mul':
    case 'Div':
      return reading.float ? computed(graph, node, tensor, reading) : null;
    default:
      return null;
  }
}

function reordered({ order, scale, offset, ...rest }: Reading, by: readonly number[] | null): Reading | null {
  if (by === null || by.toSorted().join() !== '0,1,2') return null;
  const pick = (values: readonly number[]): number[] => by.map((from) => values[from]!);
  return { order: pick(order), scale: pick(scale), offset: pick(offset), ...rest };
}

function gathered(graph: Graph, node: Node, axis: number): number[] | null {
  const along = node.attributes.get('axis')?.int ?? 0;
  const indices = graph.constant(node.inputs[1] ?? '');
  if ((along + rank) % rank !== axis || indices?.dims.length !== 1) return null;
  return Array.from(indices.values, (index) => (index < 0 ? index + channels : index));
}

/** A slice that turns the channels round, and nothing else. */
function turned(graph: Graph, node: Node, axis: number): number[] | null {
  const [start, end, along, stride] = node.inputs.slice(1).map((name) => graph.constant(name));
  const single = [start, end, along, stride].every((one) => one?.values.length === 1);
  if (!single || (along!.values[0]! + rank) % rank !== axis || stride!.values[0] !== -1) return null;
  const from = start!.values[0]!;
  return (from === -1 || from >= channels - 1) && end!.values[0]! < -channels ? [2, 1, 0] : null;
}

function computed(graph: Graph, node: Node, tensor: string, reading: Reading): Reading | null {
  const [left, right] = node.inputs;
  const values = byChannel(graph.constant((left === tensor ? right : left) ?? ''), reading.axis);
  if (!values) return null;
  const apply = operations[node.op as keyof typeof operations](left === tensor);
  const pairs = apply && values.map((value, i) => apply(reading.scale[i]!, reading.offset[i]!, value));
  return pairs ? { ...reading, scale: pairs.map(([scale]) => scale), offset: pairs.map(([, offset]) => offset) } : null;
}

type Apply = (scale: number, offset: number, value: number) => readonly [scale: number, offset: number];
/** By whether the picture is on the left. */
const operations: Record<'Add' | 'Sub' | 'Mul' | 'Div', (left: boolean) => Apply | null> = {
  Add: () => (scale, offset, value) => [scale, offset + value],
  Sub: (left) => (left ? (scale, offset, value) => [scale, offset - value] : (scale, offset, value) => [-scale, value - offset]),
  Mul: () => (scale, offset, value) => [scale * value, offset * value],
  Div: (left) => (left ? (scale, offset, value) => [scale / value, offset / value] : null),
};

/** A constant's value for each channel, where it is one by broadcasting. */
function byChannel(constant: Tensor | null, axis: 1 | 3): number[] | null {
  if (!constant || constant.type !== types.float32 || constant.dims.length > rank) return null;
  const { dims, values } = constant;
  if (values.length === 1) return [values[0]!, values[0]!, values[0]!];
  const at = dims.length - (rank - axis);
  return values.length === channels && dims[at] === channels ? [...values] : null;
}
