/**
 * `npm run bench -- transactions`: what it costs a hop to hand on its outputs and its position in one Kafka transaction, beside
 * the delivery of the runtime (outputs acknowledged, then the position), by batch size; in turn, on the same topics.
 */
import { parseArgs } from 'node:util';
import { SaccadeError } from '../../connectors/errors.ts';
import type { DeliveryName } from './deliveries.ts';
import { fill, latency, recordBytes, throughput } from './phases.ts';
import { partitions, type Place, say, withPlace } from './place.ts';
import { type Figures, report } from './report.ts';
import { strangersOffsetsCount } from './stranger.ts';

interface Given {
  readonly sizes: readonly number[];
  readonly batches: number;
  readonly records: number;
  readonly rate: number;
  readonly seconds: number;
  readonly rounds: number;
}

const order: readonly DeliveryName[] = ['at_least_once', 'transactional'];

async function measure(place: Place, { sizes, batches, records, rate, seconds, rounds }: Given): Promise<{ figures: Figures; strangers: boolean }> {
  const producer = await place.log.producer();
  const to = await place.topic('out');
  const live = await place.topic('live');
  const cases: { size: number; count: number; from: string }[] = [];
  for (const size of sizes) {
    const count = Math.min(records, size * batches);
    cases.push({ size, count, from: await fill(place, producer, count) });
  }
  const last = cases.at(-1)!;
  for (const delivery of order) await throughput(place, { delivery, size: last.size, to }, last.from, last.count);
  say('warmed up');
  const figures: Figures = new Map(sizes.map((size) => [size, { at_least_once: [], transactional: [] }]));
  for (let round = 1; round <= rounds; round += 1) {
    for (const { size, count, from } of cases) {
      // Who is first finds the machine as the other left it: in turn too.
      for (const delivery of round % 2 === 1 ? order : order.toReversed()) {
        const what = { delivery, size, to };
        const fast = await throughput(place, what, from, count);
        const slow = await latency(place, producer, what, live, { rate, seconds });
        figures.get(size)![delivery].push({ ...fast, ...slow });
        say(`round ${round} of ${rounds}, batches of ${size}, ${delivery}: ${fast.perSecond.toFixed(0)} records/s, p50 ${slow.p50.toFixed(1)} ms, p95 ${slow.p95.toFixed(1)} ms`);
      }
    }
  }
  return { figures, strangers: await strangersOffsetsCount(place, await fill(place, producer, 10 * partitions), to) };
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new SaccadeError('invalid_config', `--${name} takes whole numbers from 1, not ${text}.`);
  return value;
}

export async function transactions(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      sizes: { type: 'string', default: '1,16,100' }, batches: { type: 'string', default: '400' }, records: { type: 'string', default: '10000' },
      rate: { type: 'string', default: '5' }, seconds: { type: 'string', default: '20' }, rounds: { type: 'string', default: '3' },
    },
  });
  const of = (name: Exclude<keyof typeof values, 'sizes'>): number => whole(name, values[name]);
  const given: Given = {
    sizes: [...new Set(values.sizes.split(',').map((size) => whole('sizes', size)))],
    batches: of('batches'), records: of('records'), rate: of('rate'), seconds: of('seconds'), rounds: of('rounds'),
  };
  const { figures, strangers } = await withPlace((place) => measure(place, given));
  report(figures, { ...given, record_bytes: recordBytes, partitions }, strangers);
}
