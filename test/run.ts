/**
 * What `npm test` runs: type check, lint, then every test file against one real Kafka and one real schema registry.
 *
 *   npm test                        everything
 *   npm test -- registry sink       only the files whose path contains one of the words
 *   npm test -- --test-name-pattern=offset log
 *
 * In CI (CI=true) a missing component and a skipped test are failures.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchJars, findJavaTools } from '../deploy/local/jars.mjs';
import { startKafka } from '../deploy/local/kafka.ts';
import { startRegistry } from '../deploy/local/registry.ts';
import { endWithParent } from '../deploy/local/watchdog.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const inCi = process.env.CI === 'true';
const fileTimeoutMs = 300_000;
const scratch = mkdtempSync(join(tmpdir(), 'saccade-test-'));
const cleanups: (() => Promise<void> | void)[] = [() => rmSync(scratch, { recursive: true, force: true })];
const say = (line: string): void => void process.stdout.write(`${line}\n`);

let leaving = false;
async function leave(code: number): Promise<never> {
  if (!leaving) {
    leaving = true;
    for (const clean of cleanups.toReversed()) await clean();
    process.exit(code);
  }
  return new Promise(() => {});
}
endWithParent(() => void leave(130));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void leave(130));

const flags = process.argv.slice(2).filter((arg) => arg.startsWith('--'));
const words = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));

try {
  if (chosenFiles().length === 0) throw new Error(`no test file's path contains ${words.join(' or ')}`);
  const components = startComponents();
  // Awaited below; a failure must not count as unhandled while the checks still run.
  components.catch(() => {});
  if (words.length === 0 && !(await checks())) await leave(1);
  await leave(await runTests(await components));
} catch (error) {
  say(`npm test: ${(error as Error).message}`);
  await leave(1);
}

async function checks(): Promise<boolean> {
  const bin = (name: string): string => join(root, 'node_modules', '.bin', name);
  const [types, lint] = await Promise.all([run('types', bin('tsc'), ['--noEmit']), run('lint', bin('oxlint'), ['--deny-warnings'])]);
  return types === 0 && lint === 0;
}

/** What the test files are told through their environment. */
async function startComponents(): Promise<Record<string, string>> {
  const given = process.env.SACCADE_TEST_KAFKA;
  if (given) return {};
  const tools = findJavaTools();
  if ('missing' in tools) {
    if (inCi) throw new Error(`CI needs ${tools.missing}: Kafka and the schema registry cannot be started`);
    say(`!! Tests against Kafka and the schema registry are skipped. Missing: ${tools.missing}.`);
    return {};
  }
  const { java } = tools;
  const jars = await fetchJars(tools, say);
  const starting = [
    startKafka({ java, classpath: jars.kafka, folder: join(scratch, 'kafka') }),
    startRegistry({ java, jar: jars.registry, folder: join(scratch, 'registry') }),
  ] as const;
  for (const one of starting) void one.then(({ child }) => cleanups.push(() => child.stop()), () => {});
  const [kafka, registry] = await Promise.all(starting);
  say(`kafka ${kafka.brokers.join(',')}, registry ${registry.url}`);
  return { SACCADE_TEST_KAFKA: kafka.brokers.join(','), SACCADE_TEST_REGISTRY: registry.url };
}

async function runTests(components: Record<string, string>): Promise<number> {
  const tap = join(scratch, 'tests.tap');
  const code = await run('tests', process.execPath, [
    // tsx's own name is resolved from the root. Two files at a time: most of a test's time is spent waiting for groups and
    // processes; more would starve Kafka, the registry and chdb on two cores.
    '--import', 'tsx', '--test', '--test-concurrency=2', `--test-timeout=${fileTimeoutMs}`,
    '--test-reporter=spec', '--test-reporter-destination=stdout', '--test-reporter=tap', `--test-reporter-destination=${tap}`,
    ...flags, ...chosenFiles(),
  ], components);
  const lines = readFileSync(tap, 'utf8').split('\n');
  const skipped = lines.filter((line) => /^\s*ok .*# SKIP/.test(line)).map((line) => line.trim().replace(/^ok \d+ - /, ''));
  const inVain = inCi && skipped.length > 0;
  say('');
  for (const line of skipped) say(`skipped: ${line}`);
  if (inVain) say('CI fails: nothing may be skipped there.');
  // Last, so that whoever reads only the end of the output reads the runner's own count.
  for (const line of lines.filter((one) => /^# (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) /.test(one))) say(line);
  return code === 0 && inVain ? 1 : code;
}

function chosenFiles(): string[] {
  return readdirSync(join(root, 'test'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
    .sort();
}

/** Runs a command to its end and answers its exit code; says what it was when it failed. */
function run(what: string, command: string, args: readonly string[], env: Record<string, string> = {}): Promise<number> {
  // A runner of its own: one started from inside another's test would report to that one.
  const { NODE_TEST_CONTEXT: _, ...own } = process.env;
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env: { ...own, ...env } });
  cleanups.push(() => void child.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => {
      if (code !== 0) say(`npm test: ${what} failed`);
      resolve(code ?? 1);
    });
  });
}
