/** PostgreSQL's wire protocol, version 3, as far as a server in front of an embedded engine needs it: postgresql.org/docs/current/protocol.html */

/** A message of a client, with the byte that names its type; the first ones of a connection have none ('' here). */
export interface Message {
  readonly type: string;
  /** All of it, as it came. */
  readonly bytes: Buffer;
}

export const sslRequest = 80_877_103;
export const gssRequest = 80_877_104;
export const protocolVersion = 196_608;

/** Nothing asked of it is larger; what claims to be is no client. */
export const largestMessage = 16 * 1024 * 1024;

/**
 * Cuts what arrives into messages. `typed` says whether a message begins with a type. Throws RangeError for a length that no
 * client sends.
 */
export function messageReader(typed: () => boolean): (chunk: Buffer) => Generator<Message> {
  let held: Buffer = Buffer.alloc(0);
  return function* take(chunk) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    for (;;) {
      const head = typed() ? 1 : 0;
      if (held.length < head + 4) return;
      const length = held.readInt32BE(head);
      if (length < 4 || length > largestMessage) throw new RangeError(`a message of ${length} bytes`);
      if (held.length < head + length) return;
      const bytes = held.subarray(0, head + length);
      held = held.subarray(head + length);
      yield { type: head === 1 ? String.fromCharCode(bytes[0]!) : '', bytes };
    }
  };
}

/** The messages of an engine's answer: type, and all of its bytes. */
export function* answers(bytes: Buffer): Generator<Message> {
  for (let at = 0; at + 5 <= bytes.length; ) {
    const end = at + 1 + bytes.readInt32BE(at + 1);
    yield { type: String.fromCharCode(bytes[at]!), bytes: bytes.subarray(at, end) };
    at = end;
  }
}

const text = (value: string): Buffer => Buffer.from(`${value}\0`);
const int = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const message = (type: string, ...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(type), int(body.length + 4), body]);
};

export const askPassword = message('R', int(3));
export const welcome = (parameters: Readonly<Record<string, string>>, pid: number): Buffer =>
  Buffer.concat([
    message('R', int(0)),
    ...Object.entries(parameters).map(([name, value]) => message('S', text(name), text(value))),
    message('K', int(pid), int(0)),
    idle,
  ]);
export const idle = message('Z', Buffer.from('I'));
export const refusal = (code: string, why: string): Buffer =>
  message('E', text('SFATAL'), text('VFATAL'), text(`C${code}`), text(`M${why}`), Buffer.from([0]));

/** The one string of a password message. */
export const passwordOf = ({ bytes }: Message): Buffer => bytes.subarray(5, bytes.length - 1);
/** The number after the length of a message without a type. */
export const requestOf = ({ bytes }: Message): number => (bytes.length >= 8 ? bytes.readInt32BE(4) : 0);
