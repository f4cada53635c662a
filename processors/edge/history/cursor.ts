/** A place in the history, as a client carries it: the last row it was given, so that new rows shift nothing. */
import { SaccadeError } from '../../../connectors/errors.ts';

export interface Place {
  /** Milliseconds since the epoch. */
  readonly capturedMs: number;
  /** Of the prediction. */
  readonly id: string;
}

export const cursorOf = ({ capturedMs, id }: Place): string => Buffer.from(`${capturedMs} ${id}`).toString('base64url');

/** Throws bad_request for what is no cursor of ours. */
export function placeOf(cursor: string): Place {
  const [, ms, id] = /^(-?\d{1,15}) ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? [];
  if (ms === undefined || id === undefined) throw new SaccadeError('bad_request', 'query.cursor: it is no `next` of a page.');
  return { capturedMs: Number(ms), id };
}
