/** Processes that begin together when told to, and report what they did: the bare loops and the Python worker. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { SaccadeError } from '../../connectors/errors.ts';

interface Report {
  readonly count: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly cpuSeconds: number;
  /** Best class of each distinct picture. */
  readonly top: readonly number[];
}

export interface Round {
  readonly imagesPerSecond: number;
  /** CPU milliseconds for an image, by process. */
  readonly cpuMs: Readonly<Record<string, number>>;
  readonly top?: readonly number[];
  /** Shares of the machine's processors in use meanwhile: by the processes above, and by all there are. */
  readonly inUse?: { readonly ours: number; readonly all: number };
}

/** Throws engine_unavailable with what a process said when it ends before its report. */
export async function race(name: string, commands: readonly (readonly [string, ...string[]])[]): Promise<Round> {
  const runners = commands.map(start);
  try {
    await Promise.all(runners.map(({ ready }) => ready));
    for (const { go } of runners) go();
    const reports = await Promise.all(runners.map(({ report }) => report));
    const count = reports.reduce((sum, each) => sum + each.count, 0);
    const seconds = (Math.max(...reports.map(({ endedAt }) => endedAt)) - Math.min(...reports.map(({ startedAt }) => startedAt))) / 1000;
    const cpu = reports.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
    return { imagesPerSecond: count / seconds, cpuMs: { [name]: (cpu / count) * 1000 }, top: reports[0]!.top };
  } finally {
    for (const { end } of runners) end();
  }
}

function start([program, ...args]: readonly [string, ...string[]]) {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const errors = text(child.stderr);
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  // It ends by itself; a failure is seen by the line that does not come.
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  async function line(): Promise<string> {
    const { value, done } = await lines.next();
    if (!done) return value;
    throw new SaccadeError('engine_unavailable', `${program} ${args[0]}: ${(await errors).trim().slice(-2000)}`);
  }
  const ready = line();
  return {
    ready,
    go: () => void child.stdin.end('go\n'),
    report: ready.then(line).then((answer) => JSON.parse(answer) as Report),
    async end() {
      if (child.exitCode === null && child.signalCode === null) await Promise.race([once(child, 'exit'), new Promise((soon) => setTimeout(soon, 3_000))]);
      child.kill('SIGKILL');
    },
  };
}
