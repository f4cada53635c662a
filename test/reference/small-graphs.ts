/** Graphs of a preamble and a convolution, as exports have them: uint8 `image` [N, height, width, 3] in, float32 `y` out. */
import type { Constant, File, Operator } from './tiny-onnx.ts';

export const sizes = { height: 12, width: 16 } as const;

type Argument = Constant | 'left' | 'itself' | { readonly axis: number };
/** An operator, and its constants in order; `left`: the picture is its second input. */
export type Step = readonly [op: string, ...Argument[]];

export interface Small {
  readonly steps: readonly Step[];
  readonly constantNodes?: boolean;
  readonly listedWeights?: boolean;
  readonly weightsAreInput?: boolean;
  readonly weightScale?: number;
  readonly groups?: number;
  /** Pads with this before the convolution. */
  readonly pad?: number;
  readonly padMode?: string;
  /** An operator more that takes this tensor; or it is an output of the graph. */
  readonly another?: string;
  readonly answer?: string;
  readonly opset?: number;
  readonly external?: boolean;
  readonly graphWithin?: boolean;
  /** Whose operators the steps are. */
  readonly domain?: string;
  /** The kernel is 1, so that few rows are enough. */
  readonly tall?: boolean;
  /** What the answer is multiplied by. */
  readonly after?: number;
  readonly pool?: { readonly value: number; readonly pads?: readonly number[]; readonly auto?: string; readonly ceil?: boolean; readonly indices?: boolean };
}

const isConstant = (argument: Argument): argument is Constant => typeof argument === 'object' && 'type' in argument;
const weightsOf = (count: number, scale: number): number[] => Array.from({ length: count }, (_, i) => Math.sin(i * 1.7 + 0.3) * scale);
const int64s = (values: readonly number[]): Constant => ({ type: 'int64', dims: [values.length], values });
const scalar = (value: number): Constant => ({ type: 'float32', dims: [], values: [value] });

export function smallGraph(small: Small): File {
  const { steps, constantNodes = false, groups = 1, weightScale = 1, pad, another, answer, pool } = small;
  const constants: Record<string, Constant> = {};
  const nodes: Operator[] = [];
  let [tensor, turned] = ['image', false];
  for (const [i, [op, ...given]] of steps.entries()) {
    const names = given.flatMap((argument, k) => {
      if (!isConstant(argument)) return [];
      const name = `step${i}_${k}`;
      if (constantNodes) nodes.push({ op: 'Constant', in: [], out: [name], value: argument });
      else constants[name] = argument;
      return [name];
    });
    const others = given.includes('itself') ? [tensor] : names;
    const axis = given.find((argument): argument is { axis: number } => typeof argument === 'object' && 'axis' in argument)?.axis ?? (turned ? 1 : 3);
    nodes.push({
      op, in: given.includes('left') ? [...others, tensor] : [tensor, ...others], out: [`step${i}`], ...(small.domain ? { domain: small.domain } : {}),
      ints: op === 'Cast' ? { to: 1 } : op === 'Transpose' ? { perm: [0, 3, 1, 2] } : op === 'Gather' ? { axis } : {},
    });
    if (op === 'Transpose') turned = true;
    tensor = `step${i}`;
  }
  if (pad !== undefined) {
    constants.pads = int64s([0, 0, 1, 1, 0, 0, 1, 1]);
    constants.pad_value = scalar(pad);
    nodes.push({ op: 'Pad', in: [tensor, 'pads', 'pad_value'], out: ['padded'], strings: small.padMode ? { mode: small.padMode } : {} });
    tensor = 'padded';
  }
  const outputs = groups === 1 ? 4 : 3;
  const kernel = small.tall ? 1 : 3;
  const dims = [outputs, 3 / groups, kernel, kernel];
  constants.weights = { type: 'float32', dims, values: weightsOf(dims.reduce((a, b) => a * b), weightScale), ...(small.listedWeights ? { listed: true } : {}), ...(small.external ? { external: 'weights.bin' } : {}) };
  const around = pad === undefined && kernel === 3 ? [1, 1, 1, 1] : [0, 0, 0, 0];
  nodes.push({ op: 'Conv', in: [tensor, 'weights'], out: ['sums'], ints: { kernel_shape: [kernel, kernel], strides: [2, 2], pads: around, group: groups } });
  tensor = pool ? pooled(pool, nodes, constants) : 'sums';
  constants.after = scalar(small.after ?? 1);
  nodes.push({ op: 'Mul', in: [tensor, 'after'], out: ['y'] });
  if (another) nodes.push({ op: 'Identity', in: [another], out: ['other'] });
  if (small.graphWithin) nodes.push({ op: 'Loop', in: [], out: ['looped'], graph: true });
  const unknown = ['N', 'c', 'h', 'w'];
  return {
    nodes, constants, ...(small.opset ? { opset: small.opset } : {}),
    inputs: [{ name: 'image', type: 'uint8', dims: ['N', sizes.height, sizes.width, 3] }, ...(small.weightsAreInput ? [{ name: 'weights', type: 'float32', dims } as const] : [])],
    outputs: [{ name: 'y', type: 'float32', dims: unknown }, ...(answer ? [{ name: answer, type: 'float32', dims: unknown } as const] : [])],
  };
}

function pooled({ value, pads = [0, 0, 1, 1, 0, 0, 1, 1], auto, ceil, indices }: NonNullable<Small['pool']>, nodes: Operator[], constants: Record<string, Constant>): string {
  constants.pool_pads = int64s(pads);
  constants.pool_value = scalar(value);
  nodes.push({ op: 'Pad', in: ['sums', 'pool_pads', 'pool_value'], out: ['around'] });
  nodes.push({
    op: 'MaxPool', in: ['around'], out: indices ? ['most', 'where'] : ['most'], strings: auto ? { auto_pad: auto } : {},
    ints: { kernel_shape: [3, 3], strides: [2, 2], ...(ceil ? { ceil_mode: 1 } : {}) },
  });
  return 'most';
}

interface Quantised {
  readonly order?: readonly number[];
  readonly mean?: readonly number[];
  readonly scale?: readonly number[];
  readonly kernel?: number;
  readonly strides?: readonly number[];
  readonly pads?: readonly number[];
  readonly outputs?: number;
  readonly bias?: boolean;
  readonly perTensor?: boolean;
  readonly weightZero?: number;
  /** Of what dequantises the pixels, where it is not that of what quantised them. */
  readonly scaleBack?: number;
}

/** QDQ, as onnxruntime.quantization makes it: (pixel - 127) / 128 unless told otherwise, then quantised. */
export function quantisedGraph({ order, mean = [127, 127, 127], scale = [1 / 128, 1 / 128, 1 / 128], kernel = 3, strides = [2, 2], pads = [0, 0, 1, 1], outputs = 16, bias = true, perTensor = false, weightZero = 0, scaleBack }: Quantised): File {
  const count = outputs * 3 * kernel * kernel;
  const ownScale = mean.every((each) => each === 127) ? 1 / 128 : 0.02;
  const per = (values: (i: number) => number, type: Constant['type']): Constant =>
    perTensor ? { type, dims: [], values: [values(0)] } : { type, dims: [outputs], values: Array.from({ length: outputs }, (_, i) => values(i)) };
  const constants: Record<string, Constant> = {
    mean: { type: 'float32', dims: [3, 1, 1], values: mean }, scale: { type: 'float32', dims: [3, 1, 1], values: scale },
    x_scale: scalar(ownScale), x_zero: { type: 'uint8', dims: [], values: [127] }, back: scalar(scaleBack ?? ownScale),
    packed: { type: 'int8', dims: [outputs, 3, kernel, kernel], values: Array.from({ length: count }, (_, i) => ((i * 53) % 255) - 127) },
    w_scale: per((i) => 0.002 + i * 0.0001, 'float32'), w_zero: per(() => weightZero, 'int8'),
    bias_packed: { type: 'int32', dims: [outputs], values: Array.from({ length: outputs }, (_, i) => i * 300 - 2000) },
    b_scale: per((i) => ownScale * (0.002 + i * 0.0001), 'float32'), b_zero: per(() => 0, 'int32'),
    y_scale: scalar(0.02), y_zero: { type: 'uint8', dims: [], values: [100] },
    ...(order ? { order: int64s(order) } : {}),
  };
  const axis = { axis: 0 };
  const nodes: Operator[] = [
    { op: 'Transpose', in: ['image'], out: ['planes'], ints: { perm: [0, 3, 1, 2] } },
    ...(order ? [{ op: 'Gather', in: ['planes', 'order'], out: ['ordered'], ints: { axis: 1 } }] : []),
    { op: 'Cast', in: [order ? 'ordered' : 'planes'], out: ['floats'], ints: { to: 1 } },
    { op: 'Sub', in: ['floats', 'mean'], out: ['centred'] },
    { op: 'Mul', in: ['centred', 'scale'], out: ['scaled'] },
    { op: 'QuantizeLinear', in: ['scaled', 'x_scale', 'x_zero'], out: ['x_q'] },
    { op: 'DequantizeLinear', in: ['x_q', 'back', 'x_zero'], out: ['x'] },
    { op: 'DequantizeLinear', in: ['packed', 'w_scale', 'w_zero'], out: ['w'], ints: axis },
    ...(bias ? [{ op: 'DequantizeLinear', in: ['bias_packed', 'b_scale', 'b_zero'], out: ['b'], ints: axis }] : []),
    { op: 'Conv', in: bias ? ['x', 'w', 'b'] : ['x', 'w'], out: ['sums'], ints: { kernel_shape: [kernel, kernel], strides, pads } },
    { op: 'QuantizeLinear', in: ['sums', 'y_scale', 'y_zero'], out: ['y_q'] },
    { op: 'DequantizeLinear', in: ['y_q', 'y_scale', 'y_zero'], out: ['y'] },
  ];
  return { nodes, constants, inputs: [{ name: 'image', type: 'uint8', dims: ['N', sizes.height, sizes.width, 3] }], outputs: [{ name: 'y', type: 'float32', dims: ['N', 'c', 'h', 'w'] }] };
}
