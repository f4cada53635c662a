/**
 * npm run chaos -- --minutes M --seed S [--rate R]
 *
 * Breaks a pipeline of real processes for M minutes and judges by what came out. The last line is JSON; the exit code is 1
 * unless nothing was lost, nothing repeated and no good record dead-lettered.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { endWithParent } from '../../deploy/local/watchdog.ts';
import { passed, recoveryTable, summary } from './report.ts';
import { runChaos } from './run.ts';

const help = `npm run chaos -- --minutes M --seed S [--rate R]

  --minutes M   how long frames are offered and faults made (default 15; from 1)
  --seed S      the plan of faults and the frames are drawn from it (default 1)
  --rate R      frames a second (default 5, which leaves two cores room to recover in)

Starts Kafka, the schema registry, ClickHouse, Redis where it is installed, and each stage as a process of its own (two of
infer), offers frames from twelve sources and over HTTP, and in random order kills, stops and joins stages, stops and kills
the broker, takes the store, registry, cache and object store away, kills and slows the store, fills the disk. Needs Java 17
and Maven. What is killed is started again after about a second.

Recovery of a fault: from its end (of a kill: from the start of the new process; of a broker or store: when it serves again)
until everything acknowledged by then has its outcome in the store. The time in which another fault was in force is taken
off: recovery_seconds_p95, _max and _max_by_kind. With it: _p95_from_own_end. Of the faults without another: _p95_alone.

Last line: JSON. Frames: offered = acknowledged + refused + unacknowledged. Outcomes, one for each frame and model asked
for: stored (ok), dropped (past its deadline), dead_lettered; lost are those of acknowledged frames that have no row, though
all faults are over and nothing has come for two and a half minutes.
rollups_equal: the rollups of closed minutes and hours against counts over the outcomes; null in a run of under 3 minutes.
`;

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const fail = (sentence: string): never => {
  process.stderr.write(`chaos: ${sentence}\n`);
  process.exit(2);
};

function options() {
  try {
    const { values } = parseArgs({
      options: { minutes: { type: 'string', default: '15' }, seed: { type: 'string', default: '1' }, rate: { type: 'string', default: '5' }, help: { type: 'boolean', short: 'h' } },
    });
    return values;
  } catch (error) {
    return fail(`${(error as Error).message.split('\n')[0]} See npm run chaos -- --help.`);
  }
}

function number(name: 'minutes' | 'seed' | 'rate', min: number, max: number, whole: boolean): number {
  const value = Number(values[name]);
  if (values[name].trim() !== '' && value >= min && value <= max && (!whole || Number.isInteger(value))) return value;
  return fail(`--${name} is '${values[name]}'; a ${whole ? 'whole ' : ''}number from ${min} to ${max} is expected.`);
}

const values = options();
if (values.help) {
  say(help);
  process.exit(0);
}
const [minutes, seed, rate] = [number('minutes', 1, 600, false), number('seed', 0, 2 ** 31, true), number('rate', 1, 200, false)];

// The settings of whoever calls are for their pipeline, not for this one.
for (const name of Object.keys(process.env)) if (/^(SACCADE_(?!TIED)|KAFKA_|SCHEMA_REGISTRY_|CLICKHOUSE_|REDIS_|OTEL_|PORT$|HOST$|NODE_TEST_CONTEXT$)/.test(name)) delete process.env[name];

const undo: (() => Promise<unknown> | unknown)[] = [];
const stopping = new AbortController();
let undoing: Promise<void> | null = null;
let folder: string | null = null;

/** All at once within each kind of part would be quicker, but the engines must outlive what is connected to them. */
function undoAll(): Promise<void> {
  undoing ??= (async () => {
    for (const step of undo.splice(0).toReversed()) await Promise.race([Promise.resolve(step()).catch(() => {}), sleep(25_000)]);
  })();
  return undoing;
}

async function interrupted(): Promise<void> {
  stopping.abort(new Error('interrupted'));
  say('chaos: interrupted; stopping what was started');
  await undoAll();
  if (folder !== null) rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
  process.exit(130);
}
endWithParent(() => void interrupted());
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => void interrupted());

try {
  folder = mkdtempSync(join(tmpdir(), 'saccade-chaos-'));
  const findings = await runChaos({ folder, minutes, seed, rate, say, signal: stopping.signal, undo });
  await undoAll();
  say(`recovery, in seconds from the fault's end:`);
  for (const line of recoveryTable(findings.recoveries)) say(line);
  const good = passed(findings);
  if (good) rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
  else say(`chaos: failed; data and logs of every process are kept in ${folder}`);
  say(JSON.stringify(summary(findings)));
  process.exit(good ? 0 : 1);
} catch (error) {
  if (stopping.signal.aborted) await new Promise(() => {});
  process.stderr.write(`chaos: ${error instanceof Error ? error.message : String(error)}\nData and logs of every process are kept in ${folder}\n`);
  await undoAll();
  process.exit(1);
}
