/**
 * `npm run bench -- journal`: what it costs a record to be journalled while it is in native code. The guard with the journal
 * in a folder beside the guard with one that writes nothing, in turn; the records that stand in work beside it vary.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SaccadeError } from '../connectors/errors.ts';
import { folderJournal } from '../connectors/journal/folder.ts';
import type { WorkJournal } from '../connectors/ports.ts';
import { identify, isAlive } from '../deploy/local/process-birth.ts';
import { type Quarantine, quarantine } from '../processors/runtime/quarantine.ts';
import { quantile } from './quantiles.ts';

const beside = [0, 8, 32] as const;
const nothing: WorkJournal = { write() {}, deaths: () => [], clear() {}, close() {} };
const round = (value: number): number => Math.round(value * 100) / 100;
const inputAt = (offset: number) => ({ origin: { cluster: 'bench', topic: 'frames', partition: 3, offset, timestamp: 1_800_000_000_000 + offset } });

/** Microseconds a guarded record takes that has nothing to do, with so many others in work. */
async function measure(held: Quarantine, others: number, count: number): Promise<number> {
  let release: (() => void) | undefined;
  const end = new Promise<void>((resolve) => (release = resolve));
  const guard = held.guard('preprocess');
  const company = others === 0 ? null : guard(Array.from({ length: others }, (_, i) => inputAt(i)), () => end);
  const startedAt = process.hrtime.bigint();
  for (let i = 0; i < count; i += 1) await guard([inputAt(1_000 + i)], async () => {});
  const microseconds = Number(process.hrtime.bigint() - startedAt) / 1_000 / count;
  release!();
  await company;
  return microseconds;
}

export async function journalBench(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...argv], options: { count: { type: 'string', default: '5000' }, rounds: { type: 'string', default: '9' } } });
  const [count, rounds] = [Number(values.count), Number(values.rounds)];
  if (!Number.isInteger(count) || count < 1 || !Number.isInteger(rounds) || rounds < 1) {
    throw new SaccadeError('invalid_config', `--count and --rounds are whole numbers above 0, not ${values.count} and ${values.rounds}.`);
  }
  const folder = mkdtempSync(join(tmpdir(), 'saccade-bench-'));
  const journal = folderJournal({ folder, self: identify(process.pid), isAlive, log: console });
  const contestants = { journalled: quarantine(journal), bare: quarantine(nothing) };
  const found = beside.map(() => ({ journalled: [] as number[], bare: [] as number[] }));
  for (let at = 0; at <= rounds; at += 1) {
    for (const [i, others] of beside.entries()) {
      for (const name of ['journalled', 'bare'] as const) {
        const microseconds = await measure(contestants[name], others, count);
        // The first round warms up.
        if (at > 0) found[i]![name].push(microseconds);
      }
    }
  }
  journal.close();
  rmSync(folder, { recursive: true, force: true });
  const rows = beside.map((others, i) => {
    const { journalled, bare } = found[i]!;
    const costs = journalled.map((each, at) => each - bare[at]!);
    return { beside: others, journalled_us: round(quantile(journalled, 0.5)), bare_us: round(quantile(bare, 0.5)), cost_us: round(quantile(costs, 0.5)), cost_us_least: round(Math.min(...costs)), cost_us_most: round(Math.max(...costs)) };
  });
  console.table(rows);
  console.log(JSON.stringify({ bench: 'journal', count, rounds, by_records_beside: rows }));
}
