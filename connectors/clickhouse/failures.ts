/** ClickHouse's errors, sorted into the three that the rest of Saccade tells apart. */
import { ClickHouseError } from '@clickhouse/client';
import { asSaccadeError, SaccadeError } from '../errors.ts';

/**
 * What a row's own content can cause. Everything else an insert may meet (a table not migrated yet, a wrong password, a
 * full disk) is no row's fault: called retryable, it pauses the sink; called the row's, it would dead-letter every frame.
 */
const faultsOfTheRow = new Set([
  'ARGUMENT_OUT_OF_BOUND',
  'BAD_ARGUMENTS',
  'DECIMAL_OVERFLOW',
  'ILLEGAL_COLUMN',
  'INCORRECT_DATA',
  'INVALID_JSON',
  'SIZES_OF_ARRAYS_DONT_MATCH',
  'TOO_LARGE_ARRAY_SIZE',
  'TOO_LARGE_STRING_SIZE',
  'TOO_MANY_BYTES',
  'TYPE_MISMATCH',
  'UNEXPECTED_DATA_AFTER_PARSED_VALUE',
  'UNKNOWN_ELEMENT_OF_ENUM',
  'VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE',
  'VIOLATED_CONSTRAINT',
]);
const unreadable = /^CANNOT_(PARSE_|READ_(ARRAY|MAP|TUPLE|ALL_DATA)|CONVERT_TYPE|INSERT_)/;

/** What a query may meet through no fault of its own: the same query may work a moment later. */
const overload = new Set([
  'ABORTED',
  'ALL_CONNECTION_TRIES_FAILED',
  'KEEPER_EXCEPTION',
  'NETWORK_ERROR',
  'NO_FREE_CONNECTION',
  'SOCKET_TIMEOUT',
  'TOO_MANY_SIMULTANEOUS_QUERIES',
]);

export function insertFailure(error: unknown): SaccadeError {
  if (error instanceof ClickHouseError && error.type !== undefined) {
    const atFault = faultsOfTheRow.has(error.type) || unreadable.test(error.type);
    return new SaccadeError(atFault ? 'rejected_by_store' : 'store_unavailable', textOf(error), error);
  }
  return unreachable(error);
}

export function queryFailure(error: unknown): SaccadeError {
  if (error instanceof ClickHouseError) {
    const busy = error.type !== undefined && overload.has(error.type);
    return new SaccadeError(busy ? 'store_unavailable' : 'query_failed', textOf(error), error);
  }
  return unreachable(error);
}

/** Anything that is no answer of ClickHouse's: refused, reset, timed out, a proxy's error page. */
export function unreachable(error: unknown): SaccadeError {
  if (error instanceof AggregateError && error.errors.length > 0) return unreachable(error.errors[0]);
  return asSaccadeError(error, 'store_unavailable');
}

/** Of a syntax error, without the two hundred words that could have stood there instead. */
const textOf = (error: ClickHouseError): string =>
  `${error.message.trim().replace(/ Expected one of: .{200,}/s, '')} (${error.type ?? error.code})`;
