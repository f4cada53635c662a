/**
 * Rows in ClickHouse's RowBinaryWithNamesAndTypes (its own documentation describes it): a fifth of the bytes of JSON, and
 * nothing in it has to be parsed. The types are the table's own, letter by letter: a server compares them.
 */
import { SaccadeError } from '../errors.ts';
import type { Column } from '../ports.ts';
import { writerOf, type Write } from './row-binary-types.ts';
import { byteSink, writeString, writeVarint } from './row-binary-bytes.ts';

export const rowBinaryFormat = 'RowBinaryWithNamesAndTypes';

export interface RowBinary<T> {
  /** Once before all rows of a body. */
  readonly header: Buffer;
  /** Throws rejected_by_store, naming the column, for a value that does not fit it. */
  encode(rows: readonly T[]): Buffer;
}

/** Throws invalid_config for a type it cannot write. */
export function rowBinary<T>(columns: readonly Column<T>[]): RowBinary<T> {
  const head = byteSink(4096);
  writeVarint(head, columns.length);
  for (const { name } of columns) writeString(head, name);
  for (const { type } of columns) writeString(head, type);
  const header = Buffer.from(head.bytes.subarray(0, head.at));
  const writers: readonly Write[] = columns.map(({ type }) => writerOf(type));
  let bytesOfARow = 256;

  function encode(rows: readonly T[]): Buffer {
    // Sized by those before: growing copies what is there already.
    const out = byteSink(Math.ceil(rows.length * bytesOfARow * 1.1));
    for (const row of rows) {
      for (let i = 0; i < columns.length; i++) {
        try {
          writers[i]!(out, columns[i]!.of(row));
        } catch (error) {
          if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
          throw new SaccadeError('rejected_by_store', `${columns[i]!.name} (${columns[i]!.type}): ${error.message}`, error);
        }
      }
    }
    if (rows.length > 0) bytesOfARow = out.at / rows.length;
    return out.bytes.subarray(0, out.at);
  }
  return { header, encode };
}
