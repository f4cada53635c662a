/** Small ONNX files, written field by field (onnx.proto, IR 8): by hand, and not by what the engine edits them with. */

const varint = (value: number): Buffer => {
  const bytes: number[] = [];
  let left = BigInt.asUintN(64, BigInt(value));
  for (; left > 127n; left >>= 7n) bytes.push(Number(left & 127n) | 128);
  return Buffer.from([...bytes, Number(left)]);
};
const number = (field: number, value: number): Buffer => Buffer.concat([varint(field << 3), varint(value)]);
const bytes = (field: number, ...parts: (Buffer | string)[]): Buffer => {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
  return Buffer.concat([varint((field << 3) | 2), varint(body.length), body]);
};
const float32 = 1;

const node = (op: string, inputs: string[], output: string): Buffer => bytes(1, ...inputs.map((input) => bytes(1, input)), bytes(2, output), bytes(4, op));
const value = (field: number, name: string, size: number): Buffer =>
  bytes(field, bytes(1, name), bytes(2, bytes(1, number(1, float32), bytes(2, bytes(1, bytes(2, 'N')), bytes(1, number(1, size))))));

/** A linear head, opset 17: softmax(x · weights). `weights`: `size` rows of `classes` columns. Input x [N, size], output probabilities [N, classes]. */
export function linearHead(weights: Float32Array<ArrayBuffer>, size: number, classes: number): Buffer {
  const initializer = bytes(5, number(1, size), number(1, classes), number(2, float32), bytes(8, 'weights'), bytes(9, Buffer.from(weights.buffer)));
  const graph = [node('MatMul', ['x', 'weights'], 'logits'), node('Softmax', ['logits'], 'probabilities'), bytes(2, 'head'), initializer, value(11, 'x', size), value(12, 'probabilities', classes)];
  return Buffer.concat([number(1, 8), bytes(7, ...graph), bytes(8, number(2, 17))]);
}

const dataTypes = { float32, uint8: 2, int8: 3, int32: 6, int64: 7 };
type DataType = keyof typeof dataTypes;

export interface Constant {
  readonly type: DataType;
  readonly dims: readonly number[];
  readonly values: readonly number[];
  /** As a list of the type's own field instead of raw bytes. */
  readonly listed?: boolean;
  /** Says that its values lie in a file of this name. */
  readonly external?: string;
}

export interface Operator {
  readonly op: string;
  readonly in: readonly string[];
  readonly out: readonly string[];
  readonly ints?: Readonly<Record<string, number | readonly number[]>>;
  readonly strings?: Readonly<Record<string, string>>;
  /** Of a Constant. */
  readonly value?: Constant;
  readonly domain?: string;
  /** Has a graph in an attribute, as If and Loop do. */
  readonly graph?: boolean;
}

interface Value {
  readonly name: string;
  readonly type: DataType;
  readonly dims: readonly (number | string)[];
}

export interface File {
  readonly nodes: readonly Operator[];
  readonly constants: Readonly<Record<string, Constant>>;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly opset?: number;
}

const raw = ({ type, values }: Constant): Buffer =>
  Buffer.from({ float32: () => Float32Array.from(values), uint8: () => Uint8Array.from(values), int8: () => Int8Array.from(values), int32: () => Int32Array.from(values), int64: () => BigInt64Array.from(values, BigInt) }[type]().buffer);

function tensorOf(name: string, constant: Constant): Buffer {
  const { type, dims, values, listed, external } = constant;
  const field = { float32: 4, uint8: 5, int8: 5, int32: 5, int64: 7 }[type];
  const data = external !== undefined
    ? [bytes(13, bytes(1, 'location'), bytes(2, external)), number(14, 1)]
    : [listed ? bytes(field, type === 'float32' ? raw(constant) : Buffer.concat(values.map(varint))) : bytes(9, raw(constant))];
  return Buffer.concat([...dims.map((dim) => number(1, dim)), number(2, dataTypes[type]), bytes(8, name), ...data]);
}

const attribute = (name: string, type: number, ...values: Buffer[]): Buffer => bytes(5, bytes(1, name), ...values, number(20, type));

const nodeOf = ({ op, in: inputs, out, ints = {}, strings = {}, value: constant, domain, graph }: Operator): Buffer => bytes(1,
  ...inputs.map((input) => bytes(1, input)), ...out.map((output) => bytes(2, output)), bytes(3, `the ${op} of ${out[0]}`), bytes(4, op),
  ...Object.entries(ints).map(([name, given]) => (typeof given === 'number' ? attribute(name, 2, number(3, given)) : attribute(name, 7, ...given.map((each) => number(8, each))))),
  ...Object.entries(strings).map(([name, given]) => attribute(name, 3, bytes(4, given))),
  ...(constant ? [attribute('value', 4, bytes(5, tensorOf('', constant)))] : []),
  ...(graph ? [attribute('body', 5, bytes(6, bytes(2, 'within')))] : []),
  ...(domain ? [bytes(7, domain)] : []));

const valueOf = (field: number, { name, type, dims }: Value): Buffer =>
  bytes(field, bytes(1, name), bytes(2, bytes(1, number(1, dataTypes[type]), bytes(2, ...dims.map((dim) => bytes(1, typeof dim === 'string' ? bytes(2, dim) : number(1, dim)))))));

/** With a producer's name, a note in the metadata and a field 99 of each that no version of onnx.proto has: they must survive. */
export function onnxFile({ nodes, constants, inputs, outputs, opset = 17 }: File): Buffer {
  const graph = [
    ...nodes.map(nodeOf), bytes(2, 'small'), ...Object.entries(constants).map(([name, constant]) => bytes(5, tensorOf(name, constant))),
    ...inputs.map((input) => valueOf(11, input)), ...outputs.map((output) => valueOf(12, output)), bytes(99, 'of the graph'),
  ];
  return Buffer.concat([number(1, 8), bytes(2, 'the test'), bytes(7, ...graph), bytes(8, number(2, opset)), bytes(14, bytes(1, 'note'), bytes(2, 'kept')), bytes(99, 'of the model')]);
}
