/** Saccade as a user starts it: a process of its own, on a data folder of its own, watched from outside. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { clickhouseStore } from '../../connectors/clickhouse/store.ts';
import { kafkaLog } from '../../connectors/kafka/log.ts';
import type { Log, Store } from '../../connectors/ports.ts';
import { isAlive } from '../../deploy/local/process-birth.ts';
import { readRunFile, type RunFile } from '../../deploy/local/run-file.ts';
import { silent } from './kafka.ts';
import { eventually } from './pipeline.ts';

const bootstrap = fileURLToPath(new URL('../../deploy/local/bootstrap.mjs', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Saccade {
  readonly child: ChildProcess;
  /** What it has printed so far. */
  output(): string;
  /** Waits for the line that says it is ready, and answers the URL in it. Throws with the output if the process ends first. */
  ready(): Promise<string>;
  /** Ctrl-C, and the exit code. */
  interrupt(): Promise<number | null>;
}

/** Without the settings of whoever runs the tests. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const ours = /^(SACCADE_|KAFKA_|SCHEMA_REGISTRY_|CLICKHOUSE_|REDIS_|OTEL_|PORT$|HOST$|NODE_TEST_CONTEXT$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)));
}

export function startSaccade(data: string, args: readonly string[] = [], env: Record<string, string> = {}): Saccade {
  const child = spawn(process.execPath, [bootstrap, 'start', ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...cleanEnvironment(), PORT: '0', SACCADE_DATA: data, ...env },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = once(child, 'exit');
  const readyLine = /ready after .*?: (http:\S+)/;
  return {
    child,
    output: () => output,
    async ready() {
      await eventually(() => readyLine.test(output) || child.exitCode !== null, `ready:\n${output}`, 120_000);
      const url = readyLine.exec(output)?.[1];
      if (!url) throw new Error(`it ended before it was ready:\n${output}`);
      return url;
    },
    async interrupt() {
      child.kill('SIGINT');
      await ended;
      return child.exitCode;
    },
  };
}

export function runFileOf(data: string): RunFile {
  const run = readRunFile(data);
  if (!run) throw new Error(`nothing runs on ${data}`);
  return run;
}

/** All processes that a run file names. */
export const processesOf = (run: RunFile): number[] => [run.pid, ...run.children.map(({ pid }) => pid)];

export async function allGone(pids: readonly number[]): Promise<void> {
  await eventually(() => pids.every((pid) => !isAlive({ pid, birth: null })), `the end of the processes ${pids.join(', ')}`, 40_000);
}

export const storeOf = (run: RunFile): Store => clickhouseStore({ ...run.clickhouse!, kind: 'chdb', database: 'saccade' });
export const logOf = (run: RunFile): Log => kafkaLog({ brokers: run.kafka.brokers, clientId: 'system-test', log: silent });

export async function count(store: Store, sql: string): Promise<number> {
  const rows = await store.query<{ n: number | string }>(sql);
  return Number(rows[0]!.n);
}
