/** One client's connection to the embedded PostgreSQL: its login, its turns, and what it asks. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Turns } from './turns.ts';
import { answers, askPassword, gssRequest, type Message, messageReader, passwordOf, protocolVersion, refusal, requestOf, sslRequest, welcome } from './wire.ts';

export interface Engine {
  /** One message in, all that the engine says to it out. */
  exec(message: Buffer): Promise<Buffer>;
  readonly parameters: Readonly<Record<string, string>>;
}

export interface ConnectionOptions {
  readonly socket: Socket;
  readonly engine: Engine;
  readonly turns: Turns;
  readonly password: string;
  /** A notification is for every client: the engine knows only one session. */
  readonly notify: (message: Buffer) => void;
}

/** A client that holds a transaction open and says nothing keeps everybody waiting. */
const silentInTransactionMs = 15_000;
/** An open connection that does not log in. */
const loginMs = 10_000;

const digest = (value: string | Buffer): Buffer => createHash('sha256').update(value).digest();

/** Serves the client until it leaves. */
export function serveConnection({ socket, engine, turns, password, notify }: ConnectionOptions): void {
  const self = {};
  let state: 'startup' | 'password' | 'ready' = 'startup';
  let pending: Message[] = [];
  let work: Promise<void> = Promise.resolve();
  let gone = false;
  let inTransaction = false;
  let limit = setTimeout(() => socket.destroy(), loginMs);

  function greet(message: Message): void {
    const asked = requestOf(message);
    // No TLS: it is on loopback only.
    if (asked === sslRequest || asked === gssRequest) socket.write('N');
    else if (asked === protocolVersion) {
      state = 'password';
      socket.write(askPassword);
    } else socket.destroy();
  }

  function login(message: Message): void {
    if (message.type !== 'p' || !timingSafeEqual(digest(passwordOf(message)), digest(password))) {
      socket.end(refusal('28P01', 'the password is wrong'));
      return;
    }
    clearTimeout(limit);
    state = 'ready';
    socket.write(welcome(engine.parameters, process.pid));
  }

  /** What belongs together: one simple query, or the messages up to a Sync. */
  async function run(group: readonly Message[]): Promise<void> {
    await turns.take(self);
    clearTimeout(limit);
    if (gone) return release();
    let failed = false;
    for (const { type, bytes } of group) {
      // After an error the rest up to the Sync is passed over, as the protocol wants it.
      if (failed && type !== 'S') continue;
      const said = await engine.exec(bytes);
      for (const answer of answers(said)) {
        if (answer.type === 'A') {
          notify(answer.bytes);
          continue;
        }
        if (answer.type === 'E') failed = true;
        if (answer.type === 'Z') inTransaction = answer.bytes[5] !== 'I'.charCodeAt(0);
        if (!gone) socket.write(answer.bytes);
      }
    }
    if (gone || !inTransaction) return release();
    limit = setTimeout(() => socket.destroy(), silentInTransactionMs);
  }

  async function release(): Promise<void> {
    // What a client left open when it went must not be the next one's.
    if (inTransaction) await engine.exec(rollback);
    inTransaction = false;
    turns.pass(self);
  }

  function take(message: Message): void {
    if (state === 'startup') return greet(message);
    if (state === 'password') return login(message);
    if (message.type === 'X') return void socket.end();
    pending.push(message);
    if (message.type !== 'Q' && message.type !== 'S') return;
    const group = pending;
    pending = [];
    work = work.then(() => run(group)).catch(() => void socket.destroy());
  }

  const read = messageReader(() => state !== 'startup');
  socket.on('data', (chunk: Buffer) => {
    try {
      for (const message of read(chunk)) take(message);
    } catch {
      socket.destroy();
    }
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    gone = true;
    clearTimeout(limit);
    work = work.then(release).catch(() => {});
  });
}

const rollback = Buffer.concat([Buffer.from('Q'), Buffer.from([0, 0, 0, 13]), Buffer.from('ROLLBACK\0')]);
