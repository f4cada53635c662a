/**
 * What every npm script calls, on a fresh clone too: checks Node, installs what is missing, then runs the
 * program with TypeScript loaded. Plain JavaScript without dependencies, because there may be none yet.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const programs = { start: 'processors/main.ts', test: 'test/run.ts', sql: 'processors/sql.ts', dlq: 'processors/dead-letters/main.ts', saccade: 'processors/saccade.ts', simulate: 'test/simulation/main.ts', bench: 'loadtest/main.ts', chaos: 'test/chaos/main.ts' };
const say = (line) => process.stderr.write(`saccade: ${line}\n`);

const [command, ...args] = process.argv.slice(2);
const program = programs[command];
if (!program) fail(`unknown command ${command ?? '(none)'}; it is one of ${Object.keys(programs).join(', ')}`);

/** Needs no Kafka of its own, and ends itself when told to. */
const asks = ['sql', 'dlq', 'saccade', 'simulate', 'bench'].includes(command);

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  fail(`Node.js 20.19 or later is needed; this is ${process.versions.node} (${process.execPath})`);
}

const { ensureInstalled } = await import('./install.mjs');
const { nodeFlags } = await import('./node-flags.mjs');
try {
  // Beside npm's own download: one of them waits for the network while the other unpacks.
  if (!asks && !process.env.KAFKA_BROKERS && !args.includes('--help')) fetchJarsAhead();
  await ensureInstalled(root, say);
} catch (error) {
  fail(`the npm packages could not be installed: ${error.message}`);
}
await runProgram();

/** Only begins it: whoever starts Kafka waits for it, and reports if it fails. */
function fetchJarsAhead() {
  import('./jars.mjs')
    .then(({ fetchJars, findJavaTools, jarsOnDisk }) => {
      if (jarsOnDisk()) return;
      const tools = findJavaTools();
      if (!('missing' in tools)) return fetchJars(tools, say);
    })
    .catch(() => {});
}

async function runProgram() {
  const { watchNpmLayers } = await import('./npm-layers.mjs');
  const tied = !asks;
  const child = spawn(process.execPath, [...nodeFlags, '--import', import.meta.resolve('tsx'), fileURLToPath(new URL(program, new URL('../../', import.meta.url))), ...args], {
    // The channel is never written to. It closes when this process ends, however that happens (watchdog.ts).
    stdio: ['inherit', 'inherit', 'inherit', ...(tied ? ['ipc'] : [])],
    env: tied ? { ...process.env, SACCADE_TIED: '1' } : process.env,
  });
  const end = (signal) => {
    if (!tied) child.kill(signal);
    else if (child.connected) child.disconnect();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => end(signal));
  watchNpmLayers(() => end('SIGTERM'));
  child.on('error', (error) => fail(error.message));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

function fail(message) {
  say(message);
  process.exit(1);
}
