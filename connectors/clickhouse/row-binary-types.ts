/** How a value of each type is written. A value that does not fit throws RangeError or TypeError, which says what is wrong with it. */
import { SaccadeError } from '../errors.ts';
import { ensure, writeString, writeVarint, type ByteSink } from './row-binary-bytes.ts';

export type Write = (out: ByteSink, value: unknown) => void;

const told = (value: unknown): string => (JSON.stringify(value) ?? String(value)).slice(0, 80);

function numberOf(value: unknown): number {
  if (typeof value !== 'number') throw new TypeError(`${told(value)} is no number`);
  return value;
}

function whole(value: unknown, min: number, max: number): number {
  const number = numberOf(value);
  if (!Number.isInteger(number) || number < min || number > max) throw new RangeError(`${told(value)} is no whole number from ${min} to ${max}`);
  return number;
}

const integer =
  (bits: 8 | 16 | 32, signed: boolean): Write =>
  (out, value) => {
    const number = whole(value, signed ? -(2 ** (bits - 1)) : 0, 2 ** (signed ? bits - 1 : bits) - 1);
    ensure(out, 4);
    const { bytes } = out;
    bytes[out.at++] = number & 255;
    if (bits >= 16) bytes[out.at++] = (number >> 8) & 255;
    if (bits === 32) {
      bytes[out.at++] = (number >> 16) & 255;
      bytes[out.at++] = (number >> 24) & 255;
    }
  };

/** Halves, since a BigInt for each timestamp costs more than the rest of the row. */
const int64: Write = (out, value) => {
  const number = whole(value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  ensure(out, 8);
  const high = Math.floor(number / 2 ** 32);
  out.at = out.bytes.writeUInt32LE(number - high * 2 ** 32, out.at);
  out.at = out.bytes.writeInt32LE(high, out.at);
};

const float32: Write = (out, value) => {
  ensure(out, 4);
  out.at = out.bytes.writeFloatLE(numberOf(value), out.at);
};

const float64: Write = (out, value) => {
  ensure(out, 8);
  out.at = out.bytes.writeDoubleLE(numberOf(value), out.at);
};

const string: Write = (out, value) => {
  if (typeof value !== 'string') throw new TypeError(`${told(value)} is no text`);
  writeString(out, value);
};

const bool: Write = (out, value) => {
  if (typeof value !== 'boolean') throw new TypeError(`${told(value)} is neither true nor false`);
  ensure(out, 1);
  out.bytes[out.at++] = value ? 1 : 0;
};

const uuidShape = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** Where in the text each byte lies, in ClickHouse's order: two little-endian halves. */
const uuidPlaces = [16, 14, 11, 9, 6, 4, 2, 0, 34, 32, 30, 28, 26, 24, 21, 19];
const nibble = (code: number): number => (code < 58 ? code - 48 : (code | 32) - 87);

const uuid: Write = (out, value) => {
  if (typeof value !== 'string' || !uuidShape.test(value)) throw new TypeError(`${told(value)} is no UUID`);
  ensure(out, 16);
  for (const place of uuidPlaces) out.bytes[out.at++] = (nibble(value.charCodeAt(place)) << 4) | nibble(value.charCodeAt(place + 1));
};

function enum8(inner: string): Write {
  const values = new Map([...inner.matchAll(/'([^']*)'\s*=\s*(-?\d+)/g)].map(([, name, number]) => [name!, Number(number)]));
  return (out, value) => {
    const number = values.get(value as string);
    if (number === undefined) throw new TypeError(`${told(value)} is none of ${[...values.keys()].join(', ')}`);
    ensure(out, 1);
    out.bytes[out.at++] = number & 255;
  };
}

function nullable(write: Write): Write {
  return (out, value) => {
    ensure(out, 1);
    out.bytes[out.at++] = value === null ? 1 : 0;
    if (value !== null) write(out, value);
  };
}

function array(inner: string): Write {
  const write = writerOf(inner);
  return (out, value) => {
    // float32s as they came, little endian: an embedding is thousands of them.
    if (inner === 'Float32' && Buffer.isBuffer(value)) {
      if (value.length % 4 !== 0) throw new RangeError(`${value.length} bytes are no float32s`);
      writeVarint(out, value.length / 4);
      ensure(out, value.length);
      out.at += value.copy(out.bytes, out.at);
      return;
    }
    if (!Array.isArray(value)) throw new TypeError(`${told(value)} is no list`);
    writeVarint(out, value.length);
    for (const item of value) write(out, item);
  };
}

function map(inner: string): Write {
  const comma = topLevelComma(inner);
  const [writeKey, writeValue] = [writerOf(inner.slice(0, comma)), writerOf(inner.slice(comma + 1).trim())];
  return (out, value) => {
    if (typeof value !== 'object' || value === null) throw new TypeError(`${told(value)} is no map`);
    const keys = Object.keys(value);
    writeVarint(out, keys.length);
    for (const key of keys) {
      writeKey(out, key);
      writeValue(out, (value as Record<string, unknown>)[key]);
    }
  };
}

function topLevelComma(text: string): number {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '(') depth++;
    else if (text[i] === ')') depth--;
    else if (text[i] === ',' && depth === 0) return i;
  }
  return -1;
}

/** Throws invalid_config for a type that no column of ours has. */
export function writerOf(type: string): Write {
  const [, name, inner = ''] = /^(\w+)(?:\((.*)\))?$/s.exec(type) ?? [];
  switch (name) {
    case 'String': return string;
    case 'UUID': return uuid;
    case 'Bool': return bool;
    case 'UInt8': return integer(8, false);
    case 'UInt16': return integer(16, false);
    case 'UInt32': return integer(32, false);
    case 'Int32': return integer(32, true);
    case 'Int64': return int64;
    case 'Float32': return float32;
    case 'Float64': return float64;
    case 'DateTime64': return int64;
    case 'Enum8': return enum8(inner);
    case 'LowCardinality': return writerOf(inner);
    case 'Nullable': return nullable(writerOf(inner));
    case 'Array': return array(inner);
    case 'Map': return map(inner);
    default: throw new SaccadeError('invalid_config', `No value of the type ${type} can be written.`);
  }
}
