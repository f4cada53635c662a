/** One process of the pipeline, as an orchestrator sees it: started, ready, stopped by SIGTERM. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { nodeFlags } from '../deploy/local/node-flags.mjs';
import { SaccadeError } from '../connectors/errors.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const readyLine = /ready after .*?: (http:\S+)/;

export interface StageProcess {
  readonly stage: string;
  readonly child: ChildProcess;
  /** Where it serves health and metrics, or the API. */
  readonly url: string;
  /** SIGTERM; resolves with its exit code when it has gone. */
  stop(): Promise<number | null>;
}

/** The environment without the settings of whoever runs the bench: a figure must not depend on them. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const ours = /^(SACCADE_|KAFKA_|SCHEMA_REGISTRY_|CLICKHOUSE_|REDIS_|OTEL_|PORT$|HOST$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)));
}

/** Resolves when it is ready. Throws not_ready with what it printed. It ends with the bench, however that ends. */
export async function startStage(stage: string, env: Readonly<Record<string, string>>, withinMs = 120_000): Promise<StageProcess> {
  const child = spawn(process.execPath, [...nodeFlags, '--import', 'tsx', 'processors/main.ts', '--stages', stage, '--source', 'none'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // What is measured is work: few pictures are sent many times, and would be answered from the cache.
    env: { ...cleanEnvironment(), PORT: '0', SACCADE_CACHE: 'off', ...env, SACCADE_TIED: '1' },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = once(child, 'exit');
  for (const until = Date.now() + withinMs; !readyLine.test(output); await sleep(20)) {
    if (child.exitCode === null && child.signalCode === null && Date.now() < until) continue;
    child.kill('SIGKILL');
    throw new SaccadeError('not_ready', `The process of ${stage} is not up (${child.signalCode ?? child.exitCode ?? `after ${withinMs / 1000} s`}):\n${output}`);
  }
  return {
    stage,
    child,
    url: readyLine.exec(output)![1]!,
    async stop() {
      child.kill('SIGTERM');
      await ended;
      return child.exitCode;
    },
  };
}
