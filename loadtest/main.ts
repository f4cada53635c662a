/** `npm run bench -- NAME`: each bench prints a table and, as its last line, JSON. */
import { accessBench } from './access.ts';
import { cacheBench } from './cache.ts';
import { decode } from './decode.ts';
import { drift } from './drift/drift.ts';
import { fuzz } from './fuzz/fuzz.ts';
import { allHelp, benchHelp, type BenchName } from './help.ts';
import { http } from './http/http.ts';
import { journalBench } from './journal.ts';
import { latency } from './latency/latency.ts';
import { pipeline } from './pipeline/pipeline.ts';
import { backpressure } from './pressure/backpressure.ts';
import { fairness } from './pressure/fairness.ts';
import { pruning } from './pruning/pruning.ts';
import { reads } from './reads.ts';
import { rollingRestart } from './rolling-restart/rolling-restart.ts';
import { scale } from './scale/scale.ts';
import { sink } from './sink.ts';
import { sql } from './sql/sql.ts';
import { stream } from './stream/stream.ts';
import { transactions } from './transactions/transactions.ts';

const benches: Record<BenchName, (argv: readonly string[]) => Promise<void>> = {
  access: accessBench,
  backpressure,
  cache: cacheBench,
  decode,
  drift,
  fairness,
  fuzz,
  http,
  journal: journalBench,
  latency,
  pipeline,
  pruning,
  reads,
  'rolling-restart': rollingRestart,
  scale,
  sink,
  sql,
  stream,
  transactions,
};

const isHelp = (text: string | undefined): boolean => text === '--help' || text === '-h';
const isBench = (name: string | undefined): name is BenchName => name !== undefined && Object.hasOwn(benches, name);

const [name, ...argv] = process.argv.slice(2);
if (!isBench(name)) {
  const asked = name === undefined || isHelp(name);
  (asked ? process.stdout : process.stderr).write(asked ? allHelp : `bench: no bench is called ${name}\n\n${allHelp}`);
  process.exit(asked ? 0 : 2);
}
if (argv.some(isHelp)) {
  process.stdout.write(`npm run bench -- ${name} [options]\n${benchHelp[name]}`);
  process.exit(0);
}
await benches[name](argv).catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
