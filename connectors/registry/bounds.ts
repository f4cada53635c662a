/**
 * Walks Avro bytes by their schema without reading them. The decoder believes what the bytes say: an array that claims 2^40
 * items makes it allocate until the process dies. A record from outside is walked first, so that it can only be refused.
 */
import type { Type, types } from 'avsc';
import { SaccadeError } from '../errors.ts';

interface Cursor {
  readonly bytes: Buffer;
  at: number;
}

type Walk = (cursor: Cursor) => void;

/** Items that take no bytes (nulls, empty records) are the only ones that the length of the bytes does not limit. */
const emptyItemsAtMost = 65_536;

/** A function that throws undecodable_record unless the bytes, from `start` to their end, are exactly one value of the type. */
export function boundsCheck(type: Type): (bytes: Buffer, start: number) => void {
  const walk = walkOf(type, new Map());
  return (bytes, start) => {
    const cursor: Cursor = { bytes, at: start };
    walk(cursor);
    if (cursor.at < bytes.length) throw broken(`${bytes.length - cursor.at} bytes follow the record`);
  };
}

const broken = (why: string): SaccadeError => new SaccadeError('undecodable_record', why);

/** `known` ties the knot of a schema that contains itself. */
function walkOf(type: Type, known: Map<Type, Walk>): Walk {
  const walk = known.get(type);
  if (walk) return walk;
  let made: Walk | undefined;
  known.set(type, (cursor) => made!(cursor));
  made = makeWalk(type, known);
  return made;
}

function makeWalk(type: Type, known: Map<Type, Walk>): Walk {
  const name = type.typeName;
  if (name === 'null') return () => {};
  if (name === 'boolean') return (cursor) => take(cursor, 1);
  if (name === 'float') return (cursor) => take(cursor, 4);
  if (name === 'double') return (cursor) => take(cursor, 8);
  if (name === 'int' || name === 'long' || name === 'abstract:long') return (cursor) => void long(cursor);
  if (name === 'string' || name === 'bytes') return (cursor) => take(cursor, long(cursor));
  if (name === 'fixed') return (cursor) => take(cursor, (type as types.FixedType).size);
  if (name === 'enum') return choice((type as types.EnumType).symbols.map(() => () => {}), 'symbol');
  if (name.startsWith('union')) return choice((type as types.UnwrappedUnionType).types.map((branch) => walkOf(branch, known)), 'branch');
  if (name.startsWith('logical')) return walkOf((type as types.LogicalType).underlyingType, known);
  if (name === 'record' || name === 'error') {
    const fields = (type as types.RecordType).fields.map((field) => walkOf(field.type, known));
    return (cursor) => {
      for (const field of fields) field(cursor);
    };
  }
  if (name === 'array') return blocks(walkOf((type as types.ArrayType).itemsType, known));
  if (name === 'map') {
    const value = walkOf((type as types.MapType).valuesType, known);
    return blocks((cursor) => {
      take(cursor, long(cursor));
      value(cursor);
    });
  }
  throw broken(`the schema uses ${name}, which is not known here`);
}

function choice(walks: readonly Walk[], what: string): Walk {
  return (cursor) => {
    const index = long(cursor);
    const walk = walks[index];
    if (!walk) throw broken(`${what} ${index} of ${walks.length}`);
    walk(cursor);
  };
}

/** An array or a map: blocks of items, each with its count; a negative count is followed by the block's size in bytes. */
function blocks(item: Walk): Walk {
  return (cursor) => {
    for (let count = long(cursor); count !== 0; count = long(cursor)) {
      if (count < 0) long(cursor);
      const items = Math.abs(count);
      const start = cursor.at;
      for (let done = 0; done < items; done += 1) {
        item(cursor);
        if (cursor.at === start && items > emptyItemsAtMost) throw broken(`a list claims ${items} empty items`);
      }
    }
  };
}

function take(cursor: Cursor, length: number): void {
  if (length < 0 || length > cursor.bytes.length - cursor.at) throw broken(`${length} bytes announced, ${cursor.bytes.length - cursor.at} there`);
  cursor.at += length;
}

/** A zigzag varint. Beyond 2^53 it is inexact, which is still beyond any length or count accepted here. */
function long(cursor: Cursor): number {
  const first = cursor.bytes[cursor.at];
  // Almost every number of a record: lengths, counts, branches.
  if (first !== undefined && first < 0x80) {
    cursor.at += 1;
    return (first >> 1) ^ -(first & 1);
  }
  let value = 0;
  for (let shift = 0; shift < 70; shift += 7) {
    const byte = cursor.bytes[cursor.at];
    if (byte === undefined) throw broken('the bytes end within the record');
    cursor.at += 1;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
  throw broken('a number of more than 10 bytes');
}
