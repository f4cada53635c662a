/**
 * GraphQL over a WebSocket, by the protocol graphql-transport-ws
 * (https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md): its messages, its order, its close codes.
 */
import type { WebSocket } from '@fastify/websocket';
import type { Socket } from 'node:net';
import { z } from 'zod';
import type { Clock } from '../../../connectors/ports.ts';
import type { Ledger } from '../ledger.ts';
import { lapseClosing, type Principal, type Vigil } from '../principal.ts';
import { asProblem, problemBody } from '../problem.ts';
import { takePulse } from '../pulse.ts';
import type { GraphqlConfig } from './config.ts';
import type { Answers, GraphqlEngine } from './engine.ts';
import type { GraphqlSockets } from './sockets.ts';

/** After which a socket that was told to close is ended. */
const lingerMs = 1_000;

const payload = z.object({ query: z.string(), variables: z.record(z.string(), z.unknown()).nullish(), operationName: z.string().nullish() });
const messageSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('connection_init'), payload: z.unknown().optional() }),
  z.object({ type: z.literal('ping') }),
  z.object({ type: z.literal('pong') }),
  z.object({ type: z.literal('subscribe'), id: z.string().min(1).max(128), payload }),
  z.object({ type: z.literal('complete'), id: z.string() }),
]);

type Message = z.infer<typeof messageSchema>;

export interface ServeOptions {
  readonly engine: Promise<GraphqlEngine>;
  readonly principal: Principal;
  /** Of the client, for the record. */
  readonly address: string;
  readonly vigil: Vigil;
  /** Each operation counts and is recorded as a request would be. */
  readonly ledger: Ledger;
  readonly sockets: GraphqlSockets;
  readonly limits: GraphqlConfig;
  readonly clock: Clock;
  /** What lies beneath the socket. */
  readonly raw: Socket;
}

interface Operation {
  /** Null: it has no answers yet, or is none that has several. */
  stream: Answers | null;
}

/** Serves the socket until it closes. */
export function serveGraphql(socket: WebSocket, { engine, principal, address, vigil, ledger, sockets, limits, clock, raw }: ServeOptions): void {
  const since = clock.now();
  const pulse = takePulse({ socket, raw, limits, clock });
  /** What the client waits for. */
  const running = new Map<string, Operation>();
  /** These, and what it has completed and what is not over for that: its places are taken until it is. */
  let underWay = 0;
  let greeted = false;
  /** When the last operation came or ended. */
  let busyAt = since;
  function close(code: number, reason: string): void {
    socket.close(code, reason);
    setTimeout(() => socket.terminate(), lingerMs).unref();
  }
  const send = (message: object): void => {
    if (socket.readyState !== socket.OPEN) return;
    if (socket.bufferedAmount > limits.unreadBytes) return close(4413, 'Too much is unread');
    socket.send(JSON.stringify(message));
  };
  const endWatch = vigil(principal, (how) => close(lapseClosing[how].code, lapseClosing[how].reason));
  const leave = sockets.add(principal, {
    check(now) {
      if (socket.readyState !== socket.OPEN) return;
      if (!greeted && now - since > limits.initMs) return close(4408, 'Connection initialisation timeout');
      if (now - since > limits.lifeMs) return close(4410, 'The socket has reached its longest life: connect again');
      if (underWay === 0 && now - busyAt > limits.idleMs) return close(4408, 'No operation for a long time');
      const trouble = pulse.check(now);
      if (trouble === 'trickling') return close(4408, 'A message took too long to arrive');
      if (trouble === 'silent') socket.terminate();
    },
    close,
  });

  const record = (target: string, status: number): void => ledger.record(principal, { action: 'WS /graphql', target, status, address });

  async function answer(id: string, request: z.infer<typeof payload>, operation: Operation): Promise<void> {
    // By then another operation may go by its id.
    const wanted = (): boolean => running.get(id) === operation;
    try {
      await ledger.count(principal, 'read');
    } catch (refusal) {
      record('', asProblem(refusal).status);
      throw refusal;
    }
    if (!wanted()) return;
    const result = await (await engine).run(request, { principal, traceparent: undefined });
    const status = 'answer' in result ? (result.answer.errors?.[0]?.extensions.status ?? result.status) : 200;
    record(result.about, status);
    if ('answer' in result) {
      if (!wanted()) return;
      const failed = result.answer.data === undefined;
      send(failed ? { type: 'error', id, payload: result.answer.errors } : { type: 'next', id, payload: result.answer });
      running.delete(id);
      if (!failed) send({ type: 'complete', id });
      return;
    }
    const { stream } = result;
    if (!wanted()) return void stream.return();
    operation.stream = stream;
    for await (const each of stream) send({ type: 'next', id, payload: each });
    if (wanted() && running.delete(id)) send({ type: 'complete', id });
  }

  async function carryOut(id: string, request: z.infer<typeof payload>, bytes: number): Promise<void> {
    const operation: Operation = { stream: null };
    running.set(id, operation);
    underWay += 1;
    let giveBack = (): void => {};
    try {
      giveBack = sockets.hold(principal, bytes);
      await answer(id, request, operation);
    } catch (thrown) {
      const { code, status, title, detail } = problemBody(asProblem(thrown));
      if (running.get(id) === operation && running.delete(id)) send({ type: 'error', id, payload: [{ message: detail ?? title, extensions: { code, status } }] });
    } finally {
      giveBack();
      underWay -= 1;
      busyAt = clock.now();
    }
  }

  const handle: { [K in Message['type']]: (message: Extract<Message, { type: K }>, bytes: number) => void } = {
    connection_init() {
      if (greeted) return close(4429, 'Too many initialisation requests');
      greeted = true;
      send({ type: 'connection_ack' });
    },
    ping: () => send({ type: 'pong' }),
    pong() {},
    subscribe({ id, payload: request }, bytes) {
      if (!greeted) return close(4401, 'Unauthorized');
      if (running.has(id)) return close(4409, `Subscriber for ${id} already exists`);
      if (underWay >= limits.operations) return send({ type: 'error', id, payload: [{ message: `At most ${limits.operations} operations at once.`, extensions: { code: 'overloaded', status: 503 } }] });
      void carryOut(id, request, bytes);
    },
    complete({ id }) {
      const operation = running.get(id);
      running.delete(id);
      void operation?.stream?.return();
    },
  };

  socket.on('message', (data, isBinary) => {
    // What still comes in before the other side has heard of the end is not carried out.
    if (socket.readyState !== socket.OPEN) return;
    const message = isBinary ? null : read(data.toString());
    if (!message) return close(4400, 'Invalid message received');
    (handle[message.type] as (message: Message, bytes: number) => void)(message, (data as Buffer).length);
  });
  socket.on('close', () => {
    leave();
    endWatch();
    for (const { stream } of running.values()) void stream?.return();
    running.clear();
  });
}

function read(text: string): Message | null {
  try {
    const parsed = messageSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
