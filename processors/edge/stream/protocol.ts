/** What passes over /v1/stream, in both directions. The README has the same for people: change both. */
import { z } from 'zod';
import { SaccadeError } from '../../../connectors/errors.ts';

/** Before the image: the sequence number (4 bytes) and when it was taken (8 bytes, milliseconds since the epoch, 0: now), big endian. */
export const headerBytes = 12;
const longestMessage = 4_096;
export const highestSequence = 0xffff_ffff;
/** The year 9999: above it a number is not milliseconds. */
const latestMs = 253_402_300_799_999;

/** Why a socket was closed. Those of 4xxx are read like the HTTP status they remind of. When a key ends: `lapseClosing` (principal.ts). */
export const closeCodes = {
  done: 1000,
  stopping: 1001,
  tooLarge: 1009,
  malformed: 4400,
  unserved: 4404,
  timeout: 4408,
  replaced: 4409,
  lifetime: 4410,
  slowReader: 4413,
  overCredit: 4429,
  internal: 4500,
} as const;
export type CloseCode = (typeof closeCodes)[keyof typeof closeCodes];

const sequence = z.number().int().min(0).max(highestSequence);
const opening = {
  source: z.string().trim().min(1).max(256),
  model: z.string().min(1).max(80).optional(),
  policy: z.enum(['drop_oldest', 'wait']).default('drop_oldest'),
  session: z.uuid().optional(),
  acknowledged: sequence.optional(),
};

const fromClient = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('open'), ...opening }),
  z.strictObject({ type: z.literal('ack'), sequence }),
  z.strictObject({ type: z.literal('end') }),
]);
export type FromClient = z.infer<typeof fromClient>;
/** What a client wants of a session. */
export type Opening = Omit<Extract<FromClient, { type: 'open' }>, 'type'>;

function checked<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue!.path.join('.');
  throw new SaccadeError('bad_request', `${what}${field === '' ? '' : ` ${field}`}: ${issue!.message}`);
}

/** Throws bad_request naming the field. */
export function readMessage(text: string): FromClient {
  // The limit of a message is that of a frame, and none of these is as long.
  if (text.length > longestMessage) throw new SaccadeError('bad_request', `Text of ${text.length} characters; a message has at most ${longestMessage}.`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new SaccadeError('bad_request', 'Text is a JSON message; frames are binary messages.');
  }
  return checked(fromClient, value, 'The message:');
}

/** The query of the request, where it says what is wanted; null where the first message is to. Throws bad_request naming the parameter. */
export function openingOfQuery(query: Readonly<Record<string, unknown>>): Opening | null {
  const given = Object.fromEntries(Object.keys(opening).filter((name) => query[name] !== undefined && query[name] !== '').map((name) => [name, query[name]]));
  if (Object.keys(given).length === 0) return null;
  const acknowledged = typeof given.acknowledged === 'string' ? Number(given.acknowledged) : given.acknowledged;
  return checked(z.strictObject(opening), { ...given, ...(acknowledged === undefined ? {} : { acknowledged }) }, 'The parameter');
}

export interface SentFrame {
  readonly sequence: number;
  /** Null: now. */
  readonly capturedAt: number | null;
  readonly image: Buffer;
}

/** Throws bad_request for what is shorter than the header, or says that it was taken after the year 9999. */
export function readFrame(message: Buffer): SentFrame {
  if (message.length < headerBytes) throw new SaccadeError('bad_request', `A frame is ${headerBytes} bytes of header and the image; this message has ${message.length}.`);
  const capturedAt = Number(message.readBigUInt64BE(4));
  if (capturedAt > latestMs) throw new SaccadeError('bad_request', `captured_at is ${capturedAt}; milliseconds since the epoch are expected.`);
  return { sequence: message.readUInt32BE(0), capturedAt: capturedAt === 0 ? null : capturedAt, image: message.subarray(headerBytes) };
}

/** A frame was dropped before it was accepted because… */
export type DropReason = 'behind' | 'quota' | 'overloaded';

/** What became of one frame. */
export type StreamOutcome =
  | ({ readonly type: 'result'; readonly sequence: number } & Readonly<Record<string, unknown>>)
  | { readonly type: 'error'; readonly sequence: number; readonly code: string; readonly title: string; readonly detail?: string }
  | { readonly type: 'dropped'; readonly sequence: number; readonly reason: DropReason };

export type FromServer =
  | StreamOutcome
  | { readonly type: 'credits'; readonly credits: number }
  | { readonly type: 'duplicate'; readonly sequence: number; readonly credits?: number }
  | { readonly type: 'bye'; readonly unanswered: readonly number[] }
  | {
      readonly type: 'welcome';
      readonly session: string;
      readonly source: string;
      readonly model: string;
      readonly policy: Opening['policy'];
      /** held: the session is known here; moved: it was another edge's, or has been forgotten. */
      readonly resume: 'new' | 'held' | 'moved';
      /** The highest sequence received here; null: none. */
      readonly received: number | null;
      /** Outcomes up to this one were not acknowledged and are no longer held; null: none are missing. */
      readonly missing_to: number | null;
      readonly frame_bytes: number;
      readonly credits: number;
    };
