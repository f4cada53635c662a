/**
 * A slow camera and a flood whose keys fall on the same partition: what the camera's answers take alone, beside the flood
 * with a quota, and beside the flood without one. Latency is from the producer's call to the record on `predictions` here.
 */
import { parseArgs } from 'node:util';
import { SaccadeError } from '../../connectors/errors.ts';
import { systemClock as clock } from '../../processors/runtime/clock.ts';
import { quantile } from '../quantiles.ts';
import { type Fleet, say, withFleet } from './fleet.ts';
import { partitionOf, smallPicture, sourceNamed, startSource, watchAnswers } from './load.ts';

interface Given {
  readonly seconds: number;
  readonly slow: number;
  readonly flood: number;
}

interface Phase {
  readonly frames: number;
  readonly answered: number;
  readonly p50: number;
  readonly p95: number;
  readonly flood_answered: number;
}

/** Of the flood alone. */
const leadMs = 10_000;

/** What has no answer by the end counts with the time it has waited: leaving it out would flatter the worst. */
async function beside(fleet: Fleet, given: Given, floodRate: number, run: string): Promise<Phase> {
  const picture = await smallPicture();
  const partitions = await fleet.log.partitions('frames.in');
  const slowName = sourceNamed(`slow-${run}`, () => true);
  const floodName = sourceNamed(`flood-${run}`, (name) => partitionOf(name, partitions) === partitionOf(slowName, partitions));
  const answers = await watchAnswers(fleet);
  const flood = floodRate > 0 ? startSource(fleet, { name: floodName, rate: floodRate, picture }) : null;
  // Until the flood has gone over to the other lane and what it sent before is done, or it has filled the only one.
  if (flood) await clock.sleep(leadMs);
  const startedAt = clock.now();
  const slow = startSource(fleet, { name: slowName, rate: given.slow, picture });
  await clock.sleep(given.seconds * 1000);
  await Promise.all([slow.stop(), flood?.stop()]);
  await clock.sleep(2_000);
  const endedAt = clock.now();
  await answers.close();
  const came = new Map(answers.of(slowName).map(({ sequence, latencyMs }) => [sequence, latencyMs]));
  const waits = Array.from({ length: slow.sent }, (_, i) => came.get(i) ?? endedAt - (startedAt + (i * 1000) / given.slow));
  return { frames: slow.sent, answered: came.size, p50: Math.round(quantile(waits, 0.5)), p95: Math.round(quantile(waits, 0.95)), flood_answered: answers.of(floodName).length };
}

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new SaccadeError('invalid_config', `--${name} is a number above 0, not ${text}.`);
  return value;
}

export async function fairness(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: { seconds: { type: 'string', default: '30' }, slow: { type: 'string', default: '2' }, flood: { type: 'string', default: '300' }, rounds: { type: 'string', default: '2' } },
  });
  const given = { seconds: numberOf('seconds', values.seconds), slow: numberOf('slow', values.slow), flood: numberOf('flood', values.flood) };
  const rounds = Math.ceil(numberOf('rounds', values.rounds));
  const rows: Record<string, Phase> = {};
  for (let round = 1; round <= rounds; round += 1) {
    // Each with a baseline of its own on the same processes, and on processes and topics that no earlier flood has filled.
    for (const [kind, quota] of [['quota', String(2 * given.slow)], ['no quota', '0']] as const) {
      await withFleet({ SACCADE_QUOTA_FPS: quota, SACCADE_QUOTA_BURST: String(4 * given.slow) }, async (fleet) => {
        await beside(fleet, { ...given, seconds: 5 }, 0, 'warm-up');
        for (const [what, rate] of [['alone', 0], ['beside the flood', given.flood]] as const) {
          say(`round ${round}, ${kind}: ${what}`);
          rows[`${what}, ${kind}, ${round}`] = await beside(fleet, given, rate, `${what.split(' ')[0]}-${round}`);
        }
      });
    }
  }
  console.table(rows);
  const all = (what: string, kind: string, q: 'p50' | 'p95'): number[] => Array.from({ length: rounds }, (_, i) => rows[`${what}, ${kind}, ${i + 1}`]![q]);
  const figures = (what: string, kind: string) => ({ p50: all(what, kind, 'p50'), p95: all(what, kind, 'p95') });
  console.log(
    JSON.stringify({
      bench: 'fairness', ...given, rounds,
      ms: { alone: figures('alone', 'quota'), flood_with_quota: figures('beside the flood', 'quota'), alone_no_quota: figures('alone', 'no quota'), flood_without_quota: figures('beside the flood', 'no quota') },
    }),
  );
}
