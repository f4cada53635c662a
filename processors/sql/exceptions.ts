/** Our refusals in the words that ClickHouse's clients read: a code, a name in parentheses, a status. */
import type { ErrorCode, SaccadeError } from '../../connectors/errors.ts';

const byCode: Partial<Record<ErrorCode, readonly [number, string]>> = {
  forbidden_sql: [497, 'ACCESS_DENIED'],
  forbidden: [497, 'ACCESS_DENIED'],
  unauthenticated: [516, 'AUTHENTICATION_FAILED'],
  bad_request: [36, 'BAD_ARGUMENTS'],
  payload_too_large: [307, 'TOO_MANY_BYTES'],
  unsupported_media_type: [48, 'NOT_IMPLEMENTED'],
  overloaded: [202, 'TOO_MANY_SIMULTANEOUS_QUERIES'],
  store_unavailable: [210, 'NETWORK_ERROR'],
  not_found: [404, 'NOT_FOUND'],
};

/** The engine's own error codes are in its text only by name. */
const byName: Readonly<Record<string, number>> = {
  SYNTAX_ERROR: 62, UNKNOWN_IDENTIFIER: 47, UNKNOWN_TABLE: 60, UNKNOWN_FUNCTION: 46, TIMEOUT_EXCEEDED: 159, MEMORY_LIMIT_EXCEEDED: 241, TOO_MANY_ROWS_OR_BYTES: 396, TYPE_MISMATCH: 53,
  ILLEGAL_TYPE_OF_ARGUMENT: 43, NUMBER_OF_ARGUMENTS_DOESNT_MATCH: 42, NOT_AN_AGGREGATE: 215, UNKNOWN_DATABASE: 81, UNKNOWN_QUERY_PARAMETER: 456, BAD_QUERY_PARAMETER: 457, QUERY_WAS_CANCELLED: 394, NOT_IMPLEMENTED: 48, UNKNOWN_SETTING: 115,
};

/** What one of our errors is over ClickHouse's HTTP interface. */
export function exceptionOf(error: SaccadeError): { readonly status: number; readonly code: number; readonly text: string } {
  const named = error.code === 'query_failed' ? /\(([A-Z0-9_]+)\)\s*$/.exec(error.detail)?.[1] : undefined;
  const [code, name] = named === undefined ? (byCode[error.code] ?? [1002, 'UNKNOWN_EXCEPTION']) : [byName[named] ?? 1002, named];
  const detail = error.status >= 500 && error.code !== 'overloaded' ? error.title : error.detail || error.title;
  const text = named === undefined ? `${detail} (${name})` : detail;
  return { status: error.status, code, text: `Code: ${code}. DB::Exception: ${text} (version 25.8.1.1)\n` };
}
