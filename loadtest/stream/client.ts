/**
 * The clients of a run, in a process of their own: `tsx client.ts JSON`. Each sends a frame at its instants by the clock, as a
 * camera does, and notes when its answer came. Its last line of output is what was seen, as JSON.
 */
import { setMaxListeners } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { distinct } from '../distinct.ts';
import { quantile } from '../quantiles.ts';

export interface Load {
  readonly url: string;
  /** stream: a socket for each source; http: a request for each frame, by as many callers. */
  readonly by: 'stream' | 'http';
  readonly sources: number;
  /** Of each source. */
  readonly framesPerSecond: number;
  readonly seconds: number;
  readonly model: string;
  readonly policy: 'drop_oldest' | 'wait';
  readonly picture: string;
  readonly name: string;
}

/** Milliseconds, and frames. */
export interface Seen {
  readonly sockets: number;
  readonly offered: number;
  readonly answered: number;
  readonly dropped: number;
  readonly errors: number;
  /** There was no credit, or the caller still waited: not offered. */
  readonly skipped: number;
  readonly closed: number;
  readonly latency: { readonly p50: number; readonly p95: number; readonly p99: number };
  /** Between two answers of one source. */
  readonly interval: { readonly p50: number; readonly p95: number };
  /** Answers a second of each source. */
  readonly rates: readonly number[];
}

interface Source {
  answers: number;
  last: number;
}

const load = JSON.parse(process.argv[2]!) as Load;
const picture = readFileSync(load.picture);
const counts = { sockets: 0, offered: 0, answered: 0, dropped: 0, errors: 0, skipped: 0, closed: 0 };
const [latencies, intervals]: [number[], number[]] = [[], []];
const everyMs = 1000 / load.framesPerSecond;
/** Sockets open one after the other, as far apart as their frames then are. */
const openEveryMs = Math.min(20, everyMs / load.sources);
/** Not counted: caches and connections are cold. */
const warmUpMs = Math.min(5_000, load.seconds * 200);
let countFrom = Infinity;

function answered(source: Source, sentAt: number): void {
  const now = performance.now();
  if (sentAt >= countFrom) {
    counts.answered += 1;
    latencies.push(now - sentAt);
    source.answers += 1;
    if (source.last > 0) intervals.push(now - source.last);
  }
  source.last = now;
}

const bytesOf = (n: number, i: number): Buffer => distinct(picture, `${load.name}-${n}-${i}`);

async function stream(n: number, source: Source, signal: AbortSignal): Promise<void> {
  const query = new URLSearchParams({ source: `${load.name}-${n}`, model: load.model, policy: load.policy });
  const socket = new WebSocket(`${load.url.replace('http', 'ws')}/v1/stream?${query}`);
  const sent = new Map<number, number>();
  let [credits, next, over] = [0, 0, false];
  socket.on('message', (data: Buffer) => {
    const message = JSON.parse(data.toString()) as { type: string; sequence?: number; credits?: number };
    credits += message.credits ?? 0;
    const sentAt = sent.get(message.sequence ?? -1);
    if (sentAt === undefined) return;
    sent.delete(message.sequence!);
    if (message.type === 'result') answered(source, sentAt);
    else if (sentAt >= countFrom) counts[message.type === 'dropped' ? 'dropped' : 'errors'] += 1;
    // The server keeps what is not acknowledged.
    if (message.sequence! % 8 === 0) socket.send(JSON.stringify({ type: 'ack', sequence: message.sequence }));
  });
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await Promise.race([new Promise((resolve) => socket.once('open', resolve)), closed]);
  if (socket.readyState === WebSocket.OPEN) counts.sockets += 1;
  void closed.then(() => (counts.closed += over ? 0 : 1));
  const startedAt = performance.now();
  for (let due = startedAt; !signal.aborted; due += everyMs) {
    await sleep(Math.max(0, due - performance.now()), undefined, { signal }).catch(() => {});
    if (signal.aborted || socket.readyState !== WebSocket.OPEN) break;
    const now = performance.now();
    if (credits <= 0) {
      if (now >= countFrom) counts.skipped += 1;
      continue;
    }
    credits -= 1;
    if (now >= countFrom) counts.offered += 1;
    sent.set(next, now);
    const header = Buffer.alloc(12);
    header.writeUInt32BE(next);
    header.writeBigUInt64BE(BigInt(Date.now()), 4);
    socket.send(Buffer.concat([header, bytesOf(n, next)]));
    next += 1;
  }
  // What is on its way is still answered.
  for (const until = performance.now() + 5_000; sent.size > 0 && performance.now() < until && socket.readyState === WebSocket.OPEN; ) await sleep(20);
  counts.errors += [...sent.values()].filter((at) => at >= countFrom).length;
  over = true;
  socket.close();
  await closed;
}

/** At the same instants, by requests; one that is due while the last is under way is sent beside it, up to as many as a socket has credits. */
async function http(n: number, source: Source, signal: AbortSignal): Promise<void> {
  const underWay = new Set<Promise<void>>();
  let next = 0;
  async function ask(i: number): Promise<void> {
    const sentAt = performance.now();
    if (sentAt >= countFrom) counts.offered += 1;
    try {
      const response = await fetch(`${load.url}/v1/infer?model=${load.model}`, { method: 'POST', headers: { 'content-type': 'image/jpeg' }, body: new Uint8Array(bytesOf(n, i)) });
      await response.arrayBuffer();
      if (response.ok) return answered(source, sentAt);
    } catch {
      // counted below
    }
    if (sentAt >= countFrom) counts.errors += 1;
  }
  for (let due = performance.now(); !signal.aborted; due += everyMs) {
    await sleep(Math.max(0, due - performance.now()), undefined, { signal }).catch(() => {});
    if (signal.aborted) break;
    if (underWay.size >= 8) {
      if (performance.now() >= countFrom) counts.skipped += 1;
      continue;
    }
    const one = ask(next++).finally(() => underWay.delete(one));
    underWay.add(one);
  }
  await Promise.all(underWay);
}

const ending = new AbortController();
// Every source waits for it.
setMaxListeners(0, ending.signal);
const sources = Array.from({ length: load.sources }, (): Source => ({ answers: 0, last: 0 }));
const running: Promise<void>[] = [];
for (const [n, source] of sources.entries()) {
  running.push((load.by === 'http' ? http : stream)(n, source, ending.signal));
  await sleep(openEveryMs);
}
// Frames of each socket begin with its opening, so the sockets' instants are spread over the interval already.
await sleep(warmUpMs);
countFrom = performance.now();
process.stdout.write('counting\n');
await sleep(load.seconds * 1000);
const seconds = (performance.now() - countFrom) / 1000;
ending.abort();
await Promise.all(running);
const seen: Seen = {
  ...counts,
  latency: { p50: quantile(latencies, 0.5), p95: quantile(latencies, 0.95), p99: quantile(latencies, 0.99) },
  interval: { p50: quantile(intervals, 0.5), p95: quantile(intervals, 0.95) },
  rates: sources.map(({ answers }) => answers / seconds),
};
// A pipe takes this much in more than one go.
process.stdout.write(`${JSON.stringify({ ...seen, ms: latencies.map(Math.round) })}\n`, () => process.exit(0));
