/**
 * npm run simulate -- --seeds N [--first N] [--broken NAME|all]
 *
 * Runs the topology under N schedules drawn from seeds. Ends with a line of JSON; exits 1 when a seed failed (with
 * `--broken all`: when a broken runtime was not caught).
 */
import { parseArgs } from 'node:util';
import { allBroken } from './broken/all.ts';
import { createPool, type Pool } from './pool.ts';
import { printFailure } from './schedule.ts';
import type { Verdict } from './simulate.ts';

/** A broken runtime must be caught within so many seeds. */
const seedsForBroken = 200;
const schedulesPrinted = 3;

const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '100' }, first: { type: 'string', default: '1' }, broken: { type: 'string' }, help: { type: 'boolean' } },
});

function whole(name: 'seeds' | 'first'): number {
  const number = Number(values[name]);
  if (Number.isSafeInteger(number) && number >= (name === 'seeds' ? 1 : 0)) return number;
  console.error(`--${name} is '${values[name]}'; a whole number is expected.`);
  process.exit(2);
}

const names = allBroken.map(({ name }) => name);
const seeds = whole('seeds');
const first = whole('first');
const startedAt = Date.now();
const longestShown = 60;
const seconds = (): number => Math.round((Date.now() - startedAt) / 100) / 10;

if (values.help) usage(0);
else if (values.broken !== undefined && values.broken !== 'all' && !names.includes(values.broken)) usage(2);
else {
  const pool = createPool();
  try {
    process.exitCode = values.broken === 'all' ? await everyBroken(pool) : await run(pool, values.broken ?? null);
  } finally {
    pool.close();
  }
}

function usage(code: number): void {
  console.log('simulate --seeds N [--first N] [--broken NAME|all]\n\nBroken runtimes:');
  for (const { name, sentence } of allBroken) console.log(`  ${name.padEnd(24)} ${sentence}`);
  process.exitCode = code;
}

async function run(pool: Pool, broken: string | null): Promise<number> {
  const failed: Verdict[] = [];
  const sums = { done: 0, crashes: 0, rebalances: 0, slowest: 0 };
  const progress = setInterval(() => console.log(`${sums.done} of ${seeds} seeds, ${failed.length} failed, ${seconds()} s`), 5_000);
  await pool.simulate({
    first,
    count: seeds,
    broken,
    told(verdict) {
      sums.done += 1;
      sums.crashes += verdict.crashes;
      sums.rebalances += verdict.rebalances;
      sums.slowest = Math.max(sums.slowest, verdict.settledMs);
      if (verdict.violations.length > 0) failed.push(verdict);
      return true;
    },
  });
  clearInterval(progress);
  failed.sort((a, b) => a.seed - b.seed);
  for (const { seed } of failed.slice(0, schedulesPrinted)) await printFailure(seed, broken, seeds === 1 ? Infinity : longestShown);
  if (failed.length > schedulesPrinted) console.log(`failed as well: ${failed.slice(schedulesPrinted).map((v) => `${v.seed} (${v.violations[0]!.invariant})`).join(', ')}`);
  console.log(`the slowest seed was at rest ${Math.round(sums.slowest / 100) / 10} virtual seconds after its last fault`);
  console.log(JSON.stringify({ seeds, failed: failed.length, seconds: seconds(), crashes: sums.crashes, rebalances: sums.rebalances }));
  return failed.length > 0 ? 1 : 0;
}

/** Each broken runtime until a seed catches it with an invariant that it is there to break. */
async function everyBroken(pool: Pool): Promise<number> {
  let missed = 0;
  for (const { name, breaks } of allBroken) {
    let caught: Verdict | null = null;
    await pool.simulate({
      first,
      count: seedsForBroken,
      broken: name,
      toTheEnd: true,
      told(verdict) {
        if (verdict.violations.some(({ invariant }) => breaks.includes(invariant)) && (caught === null || verdict.seed < caught.seed)) caught = verdict;
        return caught === null;
      },
    });
    console.log(`${name.padEnd(24)} ${caughtBy(caught, breaks)}`);
    if (caught === null) missed += 1;
  }
  console.log(JSON.stringify({ broken: allBroken.length, missed, seconds: seconds() }));
  return missed > 0 ? 1 : 0;
}

function caughtBy(verdict: Verdict | null, breaks: readonly string[]): string {
  if (verdict === null) return `NOT CAUGHT by ${breaks.join(' or ')} in ${seedsForBroken} seeds`;
  const others = verdict.violations.map(({ invariant }) => invariant).filter((name) => !breaks.includes(name));
  const by = verdict.violations.map(({ invariant }) => invariant).filter((name) => breaks.includes(name));
  return `caught by ${by.join(', ')} (seed ${verdict.seed}${others.length > 0 ? `; there also ${others.join(', ')}` : ''})`;
}
