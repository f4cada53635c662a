/** Just enough reading of SQL to serve it: where inserted data begins, which format answers, what leaves a connection changed. */
import { isUtf8 } from 'node:buffer';
import type { RawInsertFormat } from 'chdb';
import { Exception, notImplemented } from './exception.ts';

export type Statement =
  | { readonly kind: 'sql'; readonly sql: string; readonly writes: boolean; readonly format: string | null; readonly leavesTraces: boolean }
  /** An insert whose rows go to the engine as they came, never as a JavaScript string. */
  | { readonly kind: 'rows'; readonly table: string; readonly columns: readonly string[] | null; readonly format: RawInsertFormat; readonly rows: Buffer }
  /** An insert whose rows the engine reads from a file, by name. */
  | { readonly kind: 'file'; readonly table: string; readonly columns: readonly string[]; readonly format: string; readonly rows: Buffer };

const rawFormats = new Set<string>([
  'JSONEachRow',
  'JSONCompactEachRow',
  'CSV',
  'CSVWithNames',
  'TSV',
  'TabSeparated',
  'TSVWithNames',
  'TabSeparatedWithNames',
] satisfies RawInsertFormat[]);

const plainInsert = /^\s*INSERT\s+INTO\s+(?:TABLE\s+)?([\w.]+)\s*(?:\(([\w.,`\s]*)\))?\s*FORMAT\s+(\w+)\s*;?\s*$/i;
const binaryFormat = /\bFORMAT\s+(Native|RowBinary\w*|Parquet|ORC|Avro\w*|Arrow\w*|Protobuf\w*|CapnProto|MsgPack|BSONEachRow|Npy|RawBLOB)\s*$/i;

/** Tells names and types itself, so that the engine can read it as a file: it takes no binary data with a statement. */
const fileFormat = 'RowBinaryWithNamesAndTypes';

/** Throws NOT_IMPLEMENTED for data in a binary format: the embedded engine takes text only. */
export function readStatement(sql: string, body: Buffer): Statement {
  if (sql !== '' && body.length > 0) {
    const match = plainInsert.exec(sql);
    const columns = match?.[2]?.split(',').map((name) => name.replaceAll('`', '').trim()) ?? null;
    if (match && columns && match[3] === fileFormat) return { kind: 'file', table: match[1]!, columns, format: fileFormat, rows: body };
    if (match && rawFormats.has(match[3]!)) {
      return { kind: 'rows', table: match[1]!, columns, format: match[3] as RawInsertFormat, rows: body };
    }
    if (binaryFormat.test(sql)) throw notImplemented('The embedded ClickHouse takes rows in text formats only, such as JSONEachRow or CSV, and RowBinaryWithNamesAndTypes with the columns named.');
  }
  if (!isUtf8(body)) throw notImplemented('The embedded ClickHouse reads UTF-8 text only.');
  const whole = body.length === 0 ? sql : sql === '' ? body.toString() : `${sql}\n${body.toString()}`;
  // The engine would take it for the end, and run what stands before it.
  if (whole.includes('\0')) throw new Exception(62, 'SYNTAX_ERROR', 'The statement contains a NUL byte.');
  const head = withoutComments(whole.slice(0, 100_000));
  const writes = !/^\s*\(*\s*(SELECT|WITH|SHOW|DESC|DESCRIBE|EXPLAIN|EXISTS|CHECK)\b/i.test(head);
  return {
    kind: 'sql',
    sql: whole,
    writes,
    format: /\bFORMAT\s+(\w+)\s*(?:SETTINGS\s[^;]*)?;?\s*$/i.exec(withoutComments(whole.slice(-2_000)))?.[1] ?? null,
    leavesTraces: /^\s*(SET|USE)\b|\bTEMPORARY\b/i.test(head) || /;\s*\S/.test(head),
  };
}

const withoutComments = (sql: string): string => sql.replaceAll(/--[^\n]*|\/\*[\s\S]*?\*\//g, ' ');
