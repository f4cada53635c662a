/** A process that owns a stack, for tests that kill it: one JSON line when the stack is up, or with the error. */
import { readRunFile, writeRunFile } from '../../deploy/local/run-file.ts';
import { startStack } from '../../deploy/local/stack.ts';
import { endWithParent } from '../../deploy/local/watchdog.ts';

endWithParent(() => process.exit(1));
const [dataDir = '', clickhouse] = process.argv.slice(2);
const said: string[] = [];
try {
  const stack = await startStack({ dataDir, say: (line) => void said.push(line), clickhouse: clickhouse === undefined ? undefined : { url: clickhouse } });
  const { kafka, registry, clickhouse: store, children } = stack;
  writeRunFile(dataDir, { pid: process.pid, startedAt: new Date().toISOString(), edge: null, kafka, registry, clickhouse: store, children });
  process.stdout.write(`${JSON.stringify({ said, ...readRunFile(dataDir) })}\n`);
  process.once('SIGTERM', () => void stack.stop().then(() => process.exit(0)));
  void stack.failed.then((error) => process.stdout.write(`${JSON.stringify({ failed: error.message })}\n`));
  setInterval(() => {}, 60_000);
} catch (error) {
  process.stdout.write(`${JSON.stringify({ said, error: (error as Error).message })}\n`);
}
