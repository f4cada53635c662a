/** Constants of an ONNX graph (onnx.proto's TensorProto): the types that preambles and first convolutions are made of. */
import { bytesField, type Field, integer, integerOf, integersOf, readFields, text, textOf, wires, writeFields } from './wire.ts';

/** TensorProto.DataType. */
export const types = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7 } as const;

export interface Tensor {
  readonly type: (typeof types)[keyof typeof types];
  readonly dims: readonly number[];
  /** Exact in all of the types, of int64 within 2^53. */
  readonly values: Float64Array;
}

const numbers = { dims: 1, type: 2, floats: 4, int32s: 5, int64s: 7, name: 8, raw: 9, location: 14 } as const;
const known: ReadonlySet<number> = new Set(Object.values(types));

export const nameOfTensor = (payload: Uint8Array): string => {
  const name = readFields(payload).find(({ number }) => number === numbers.name);
  return name ? textOf(name) : '';
};

/** Its values lie in a file beside the graph. */
export const isExternal = (payload: Uint8Array): boolean => readFields(payload).some((field) => field.number === numbers.location && integerOf(field) === 1);

/** Null for a type that is none of ours. */
export function readTensor(payload: Uint8Array): Tensor | null {
  const fields = readFields(payload);
  const of = (number: number): Field[] => fields.filter((field) => field.number === number);
  const [kind] = of(numbers.type);
  const type = kind ? (integerOf(kind) as Tensor['type']) : null;
  if (type === null || !known.has(type) || isExternal(payload)) return null;
  const dims = integersOf(of(numbers.dims));
  const size = dims.reduce((product, dim) => product * dim, 1);
  const [raw] = of(numbers.raw);
  const values = raw ? fromRaw(type, raw.payload) : listed(type, of);
  return values?.length === size ? { type, dims, values } : null;
}

function fromRaw(type: Tensor['type'], { buffer, byteOffset, length }: Uint8Array): Float64Array | null {
  const width = type === types.int64 ? 8 : type === types.float32 || type === types.int32 ? 4 : 1;
  if (length % width !== 0) return null;
  const view = new DataView(buffer, byteOffset, length);
  const read = {
    [types.float32]: (at: number) => view.getFloat32(at, true),
    [types.int32]: (at: number) => view.getInt32(at, true),
    [types.int64]: (at: number) => Number(view.getBigInt64(at, true)),
    [types.int8]: (at: number) => view.getInt8(at),
    [types.uint8]: (at: number) => view.getUint8(at),
  }[type];
  return Float64Array.from({ length: length / width }, (_, i) => read(i * width));
}

function listed(type: Tensor['type'], of: (number: number) => Field[]): Float64Array {
  if (type !== types.float32) return Float64Array.from(integersOf(of(type === types.int64 ? numbers.int64s : numbers.int32s)));
  return Float64Array.from(of(numbers.floats).flatMap(({ payload: { buffer, byteOffset, length } }) => {
    const view = new DataView(buffer, byteOffset, length);
    return Array.from({ length: length / 4 }, (_, i) => view.getFloat32(i * 4, true));
  }));
}

export function writeTensor(name: string, { type, dims, values }: Tensor): Uint8Array {
  const typed = {
    [types.float32]: () => Float32Array.from(values),
    [types.int32]: () => Int32Array.from(values),
    [types.int64]: () => BigInt64Array.from(values, BigInt),
    [types.int8]: () => Int8Array.from(values),
    [types.uint8]: () => Uint8Array.from(values),
  }[type]();
  return writeFields([
    ...dims.map((dim) => integer(numbers.dims, dim)),
    integer(numbers.type, type),
    text(numbers.name, name),
    { number: numbers.raw, wire: wires.bytes, payload: new Uint8Array(typed.buffer) },
  ]);
}

export const floats = (dims: readonly number[], values: readonly number[]): Tensor => ({ type: types.float32, dims, values: Float64Array.from(values) });
export const int64s = (values: readonly number[]): Tensor => ({ type: types.int64, dims: [values.length], values: Float64Array.from(values) });
export const tensorField = (number: number, name: string, tensor: Tensor): Field => bytesField(number, writeTensor(name, tensor));
