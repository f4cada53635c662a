/** W3C trace context (https://www.w3.org/TR/trace-context/), the header every record carries. */
import { randomBytes } from 'node:crypto';

export interface TraceContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
}

const pattern = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** null for anything that is not a valid version 00 header: an invalid one is to be ignored, not repaired. */
export function parseTraceparent(header: string | undefined): TraceContext | null {
  const match = header === undefined ? null : pattern.exec(header);
  if (!match || /^0+$/.test(match[1]!) || /^0+$/.test(match[2]!)) return null;
  return { traceId: match[1]!, spanId: match[2]!, traceFlags: Number.parseInt(match[3]!, 16) };
}

export const formatTraceparent = (context: TraceContext): string =>
  `00-${context.traceId}-${context.spanId}-${context.traceFlags.toString(16).padStart(2, '0')}`;

/** The header if it is valid, else the beginning of a new trace. */
export const traceparentOr = (header: string | undefined): string =>
  header !== undefined && parseTraceparent(header)
    ? header
    : formatTraceparent({ traceId: randomBytes(16).toString('hex'), spanId: randomBytes(8).toString('hex'), traceFlags: 1 });
