/**
 * Protobuf's wire format (protobuf.dev/programming-guides/encoding), no further than this: a message taken apart into its fields
 * and put together again. What nobody here knows stays as it came, byte for byte.
 */

export const wires = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

export interface Field {
  readonly number: number;
  readonly wire: (typeof wires)[keyof typeof wires];
  /** Without tag and length. */
  readonly payload: Uint8Array;
}

/** Throws TypeError when the bytes are no message, or use groups, which were given up before ONNX began. */
export function readFields(bytes: Uint8Array): Field[] {
  const fields: Field[] = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = varintAt(bytes, at);
    const [number, wire] = [Math.floor(tag.value / 8), tag.value % 8];
    const { from, to } = payloadAt(bytes, tag.next, wire);
    if (number === 0 || to > bytes.length) throw new TypeError(`It is no protobuf message: field ${number} at ${at} of ${bytes.length} bytes`);
    fields.push({ number, wire: wire as Field['wire'], payload: bytes.subarray(from, to) });
    at = to;
  }
  return fields;
}

function payloadAt(bytes: Uint8Array, at: number, wire: number): { from: number; to: number } {
  if (wire === wires.varint) return { from: at, to: varintAt(bytes, at).next };
  if (wire === wires.fixed64) return { from: at, to: at + 8 };
  if (wire === wires.fixed32) return { from: at, to: at + 4 };
  if (wire !== wires.bytes) throw new TypeError(`It is no protobuf message: wire type ${wire} at ${at}`);
  const { value, next } = varintAt(bytes, at);
  return { from: next, to: next + value };
}

/** Exact below 2^53, which lengths, tags and dimensions are. */
function varintAt(bytes: Uint8Array, at: number): { value: number; next: number } {
  let value = 0;
  for (let i = 0; i < 10 && at + i < bytes.length; i++) {
    const byte = bytes[at + i]!;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, next: at + i + 1 };
  }
  throw new TypeError(`It is no protobuf message: it ends within a number at ${at}`);
}

export function writeFields(fields: readonly Field[]): Uint8Array {
  const heads = fields.map(({ number, wire, payload }) => [...varint(number * 8 + wire), ...(wire === wires.bytes ? varint(payload.length) : [])]);
  const all = new Uint8Array(fields.reduce((sum, { payload }, i) => sum + heads[i]!.length + payload.length, 0));
  let at = 0;
  fields.forEach(({ payload }, i) => {
    all.set(heads[i]!, at);
    all.set(payload, at + heads[i]!.length);
    at += heads[i]!.length + payload.length;
  });
  return all;
}

/** Of an int64: a negative one has all ten bytes. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let left = BigInt.asUintN(64, BigInt(value));
  for (; left > 0x7fn; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80);
  return [...bytes, Number(left)];
}

export const text = (number: number, value: string): Field => ({ number, wire: wires.bytes, payload: new TextEncoder().encode(value) });
export const bytesField = (number: number, payload: Uint8Array): Field => ({ number, wire: wires.bytes, payload });
export const integer = (number: number, value: number): Field => ({ number, wire: wires.varint, payload: Uint8Array.from(varint(value)) });

export const textOf = ({ payload }: Field): string => new TextDecoder().decode(payload);

/** An int64 as a number, exact within 2^53. */
export const integerOf = ({ payload }: Field): number => Number(BigInt.asIntN(64, bits(payload)));

const bits = (payload: Uint8Array): bigint => payload.reduceRight((sum, byte) => (sum << 7n) | BigInt(byte & 0x7f), 0n);

/** A repeated int64, packed or not. */
export function integersOf(fields: readonly Field[]): number[] {
  return fields.flatMap((field) => {
    if (field.wire === wires.varint) return [integerOf(field)];
    const values: number[] = [];
    for (let at = 0; at < field.payload.length; ) {
      const { next } = varintAt(field.payload, at);
      values.push(Number(BigInt.asIntN(64, bits(field.payload.subarray(at, next)))));
      at = next;
    }
    return values;
  });
}
