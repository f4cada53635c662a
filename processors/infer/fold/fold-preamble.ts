/**
 * A preamble folded into the first convolution: scale and order of the channels become part of its weights, and what is left
 * (the mean, which padding keeps out of the bias) is done where the channels lie apart, plane by plane.
 */
import { isOp, type Graph } from './graph.ts';
import { changed, makeNode, type Node } from './node.ts';
import { readPreamble, type Preamble } from './preamble.ts';
import { floats, type Tensor, types } from './tensor.ts';

/** What it did, for a person; null when the graph begins in some other way, or already as it should. */
export function foldPreamble(graph: Graph, picture: string): string | null {
  const preamble = readPreamble(graph, picture);
  // One number for all channels is a quick operand wherever they are: there is nothing to be gained.
  if (!preamble || !(mixed(preamble) || preamble.next.op === 'QuantizeLinear')) return null;
  return preamble.next.op === 'QuantizeLinear' ? intoQuantised(graph, picture, preamble) : intoFloat(graph, picture, preamble);
}

/** Padding with zeros may stand between: zero remains zero, whatever it is multiplied by. */
function intoFloat(graph: Graph, picture: string, preamble: Preamble): string | null {
  const { tensor, next, order, mean, scale } = preamble;
  const padded = isOp(next, 'Pad') && zeros(graph, next);
  const conv = padded ? graph.only(next.outputs[0]!) : next;
  const weights = isOp(conv, 'Conv') && conv.inputs[0] === (padded ? next.outputs[0] : tensor) ? graph.constant(conv.inputs[1]!) : null;
  if (!isOp(conv, 'Conv') || !weights || weights.type !== types.float32 || !fits(conv, weights)) return null;
  const before = planes(graph, picture, { mean: backwards(order, mean), scale: [1, 1, 1], out: tensor });
  const moved = [...(scale.some((each) => each !== 1) ? ['scale'] : []), ...ordered(order)];
  if (moved.length === 0 && alike(preamble.nodes, before)) return null;
  const folded = graph.add(conv.inputs[1]!, ofPicture(weights, order, scale));
  graph.replace(preamble.nodes, before);
  graph.replace([conv], [changed(conv, { inputs: conv.inputs.map((name, i) => (i === 1 ? folded : name)) })]);
  return told(moved);
}

function intoQuantised(graph: Graph, picture: string, preamble: Preamble): string | null {
  const { next: quantise, order, mean, scale, tensor } = preamble;
  const dequantise = quantise.inputs[0] === tensor ? graph.only(quantise.outputs[0]!) : null;
  const conv = isOp(dequantise, 'DequantizeLinear') ? graph.only(dequantise.outputs[0]!) : null;
  if (!isOp(conv, 'Conv') || !dequantise) return null;
  const unpacked = graph.producer(conv.inputs[1]!);
  const weights = isOp(unpacked, 'DequantizeLinear') ? graph.constant(unpacked.inputs[0]!) : null;
  const perOutput = (unpacked?.attributes.get('axis')?.int ?? 1) === 0 || graph.constant(unpacked?.inputs[1] ?? '')?.values.length === 1;
  if (!unpacked || !weights || !perOutput || !fits(conv, weights)) return null;
  const asTheyAre = pixelsThemselves(graph, quantise, dequantise, preamble);
  const out = asTheyAre ? quantise.outputs[0]! : tensor;
  const before = asTheyAre ? [toPlanes(picture, out)] : planes(graph, picture, { mean: backwards(order, mean), scale: backwards(order, scale), out });
  const moved = ordered(order);
  if (!asTheyAre && (!mixed(preamble) || (moved.length === 0 && alike(preamble.nodes, before)))) return null;
  graph.replace(asTheyAre ? [...preamble.nodes, quantise] : preamble.nodes, before);
  if (moved.length > 0) {
    const name = graph.fresh(conv.inputs[1]!);
    const packed = graph.add(unpacked.inputs[0]!, ofPicture(weights, order, [1, 1, 1]));
    const unpack = changed(unpacked, { inputs: [packed, ...unpacked.inputs.slice(1)], outputs: [name] });
    graph.replace([conv], [unpack, changed(conv, { inputs: conv.inputs.map((input, i) => (i === 1 ? name : input)) })]);
  }
  return asTheyAre ? 'the pixels are the first convolution\'s input' : told(moved);
}

const told = (moved: readonly string[]): string => (moved.length > 0 ? `${moved.join(' and ')} in the first convolution` : 'mean and scale plane by plane');

/** Whether it treats channels differently. */
const mixed = ({ order, mean, scale }: Preamble): boolean => ordered(order).length > 0 || [mean, scale].some((values) => new Set(values).size > 1);

const ordered = (order: readonly number[]): string[] => (order.every((from, i) => from === i) ? [] : ['order of the channels']);

const alike = (nodes: readonly Node[], others: readonly Node[]): boolean => nodes.map(({ op }) => op).join() === others.map(({ op }) => op).join();

/** By channel of the picture instead of the convolution's. */
function backwards(order: readonly number[], values: readonly number[]): number[] {
  const back: number[] = [];
  order.forEach((from, i) => (back[from] = values[i]!));
  return back;
}

const toPlanes = (picture: string, out: string): Node => makeNode('Transpose', [picture], [out], { perm: [0, 3, 1, 2] });

/** Transposed first, as bytes: a constant by channel is a slow operand where channels are innermost. */
function planes(graph: Graph, picture: string, { mean, scale, out }: { mean: readonly number[]; scale: readonly number[]; out: string }): Node[] {
  const subtracts = mean.some((each) => each !== 0);
  const multiplies = scale.some((each) => each !== 1);
  const constant = (like: string, values: readonly number[]): string =>
    graph.add(`${picture}_${like}`, new Set(values).size === 1 ? floats([], [values[0]!]) : floats([values.length, 1, 1], values));
  const apart = graph.fresh(`${picture}_planes`);
  const cast = subtracts || multiplies ? graph.fresh(`${picture}_floats`) : out;
  const moved = multiplies && subtracts ? graph.fresh(`${picture}_centred`) : multiplies ? cast : out;
  return [
    toPlanes(picture, apart),
    makeNode('Cast', [apart], [cast], { to: types.float32 }),
    ...(subtracts ? [makeNode('Sub', [cast, constant('mean', mean)], [moved])] : []),
    ...(multiplies ? [makeNode('Mul', [moved, constant('scale', scale)], [out])] : []),
  ];
}

/** Weights for the picture's own channels. Those of a preamble's i-th channel are multiplied by scale[i]. */
function ofPicture(weights: Tensor, order: readonly number[], scale: readonly number[]): Tensor {
  const [outputs, inputs, ...kernel] = weights.dims as [number, number, ...number[]];
  const taps = kernel.reduce((product, size) => product * size, 1);
  const values = new Float64Array(weights.values.length);
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      for (let k = 0; k < taps; k++) values[(o * inputs + order[i]!) * taps + k] = weights.values[(o * inputs + i) * taps + k]! * scale[i]!;
    }
  }
  return { ...weights, values };
}

/** An ordinary convolution of the picture's three channels. */
const fits = (conv: Node, { dims }: Tensor): boolean => (conv.attributes.get('group')?.int ?? 1) === 1 && dims.length === 4 && dims[1] === 3;

function zeros(graph: Graph, pad: Node): boolean {
  const value = pad.inputs[2] ? graph.constant(pad.inputs[2])?.values[0] : 0;
  return value === 0 && (pad.attributes.get('mode')?.string ?? 'constant') === 'constant';
}

/** Whether each level from 0 to 255 is quantised to itself, and dequantised with the same scale. */
function pixelsThemselves(graph: Graph, quantise: Node, dequantise: Node, { mean, scale }: Preamble): boolean {
  const [step, zero] = [1, 2].map((at) => graph.constant(quantise.inputs[at] ?? ''));
  const [stepBack, zeroBack] = [1, 2].map((at) => graph.constant(dequantise.inputs[at] ?? ''));
  if (step?.values.length !== 1 || zero?.values.length !== 1 || zero.type !== types.uint8) return false;
  if (stepBack?.values[0] !== step.values[0] || zeroBack?.values[0] !== zero.values[0] || zeroBack?.type !== types.uint8) return false;
  // Far from where rounding could go either way.
  const near = (level: number, i: number): boolean => Math.abs(((level - mean[i]!) * scale[i]!) / step.values[0]! + zero.values[0]! - level) < 0.25;
  return mean.every((_mean, i) => near(0, i) && near(255, i));
}
