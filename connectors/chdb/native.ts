/**
 * ClickHouse's Native format as a client of its binary protocol reads it. The engine writes the blocks of an answer as for no
 * client in particular: numbers of columns and rows (varints), and of each column its name, its type and its values. A client
 * that names its version of the protocol expects more around them, and nothing else inside, so it is enough to know where each
 * column ends. After the description of the format in ClickHouse's documentation, and what its server sends.
 */
import { Exception } from './exception.ts';
import { dataTypeOf, type DataType } from './native-types.ts';

/** Of the protocol, from which on a column says how it is serialized. */
const withSerialization = 54_454;

/** What describes a block as a part of an aggregation: field 1, no overflow row; field 2, no bucket; the end. */
const plainBlock = Buffer.from([1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0]);
const plainSerialization = Buffer.from([0]);

/** The same blocks for a client of that version. Throws NOT_IMPLEMENTED for a type whose values' length is not known here. */
export function nativeFor(version: number, answer: Uint8Array): Buffer {
  const bytes = Buffer.from(answer.buffer, answer.byteOffset, answer.length);
  const cursor = cursorOn(bytes);
  const out: Buffer[] = [];
  let from = 0;
  const put = (more: Buffer): void => {
    out.push(bytes.subarray(from, cursor.at), more);
    from = cursor.at;
  };
  while (cursor.at < bytes.length) {
    put(plainBlock);
    const [columns, rows] = [cursor.varint(), cursor.varint()];
    for (let column = 0; column < columns; column++) {
      cursor.text();
      const type = dataTypeOf(cursor.text());
      if (version >= withSerialization) put(plainSerialization);
      if (rows === 0) continue;
      skipPrefix(type, cursor);
      skipValues(type, rows, cursor);
    }
  }
  if (cursor.at !== bytes.length) throw cutOff();
  out.push(bytes.subarray(from));
  return Buffer.concat(out);
}

const cutOff = (): Exception => new Exception(1002, 'UNKNOWN_EXCEPTION', 'An answer in the Native format ends in the midst of a column.', 500);

interface Cursor {
  at: number;
  varint(): number;
  text(): string;
  /** Unsigned, of 8 bytes. */
  long(): number;
}

function cursorOn(bytes: Buffer): Cursor {
  const cursor: Cursor = {
    at: 0,
    varint() {
      let value = 0;
      for (let scale = 1; ; scale *= 128) {
        const byte = bytes[cursor.at++];
        if (byte === undefined) throw cutOff();
        value += (byte & 0x7f) * scale;
        if (byte < 0x80) return value;
      }
    },
    text() {
      const length = cursor.varint();
      cursor.at += length;
      return bytes.toString('utf8', cursor.at - length, cursor.at);
    },
    long() {
      cursor.at += 8;
      return bytes.readUInt32LE(cursor.at - 8) + bytes.readUInt32LE(cursor.at - 4) * 2 ** 32;
    },
  };
  return cursor;
}

/** Of a dictionary, the version of its serialization; that of every dictionary stands before the values of any. */
function skipPrefix(type: DataType, cursor: Cursor): void {
  if (type.kind === 'dictionary') cursor.at += 8;
  else if (type.kind !== 'fixed' && type.kind !== 'text') for (const of of type.of) skipPrefix(of, cursor);
}

function skipValues(type: DataType, rows: number, cursor: Cursor): void {
  if (rows === 0) return;
  switch (type.kind) {
    case 'fixed':
      cursor.at += rows * type.bytes;
      return;
    case 'text':
      for (let row = 0; row < rows; row++) {
        const length = cursor.varint();
        cursor.at += length;
      }
      return;
    case 'nullable':
      cursor.at += rows;
      return skipValues(type.of[0], rows, cursor);
    case 'array': {
      // The last offset is how many elements there are.
      cursor.at += (rows - 1) * 8;
      return skipValues(type.of[0], cursor.long(), cursor);
    }
    case 'tuple':
      for (const of of type.of) skipValues(of, rows, cursor);
      return;
    case 'dictionary': {
      const indexBytes = 2 ** (cursor.long() % 256);
      skipValues(type.of[0], cursor.long(), cursor);
      const indexes = cursor.long();
      cursor.at += indexes * indexBytes;
    }
  }
}
