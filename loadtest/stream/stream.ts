/**
 * Video over WebSockets. One source beside the same frames as HTTP requests, in turns; sixteen that together are too much for
 * the machine; and, with --sockets N, many that send a frame every few seconds, with the edge's memory over the run.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { SaccadeError } from '../../connectors/errors.ts';
import { parseModelChoice } from '../../connectors/models/model-choice.ts';
import { systemClock as clock } from '../../processors/runtime/clock.ts';
import { cpuSeconds } from '../pipeline/usage.ts';
import { sampleResident, slopeOfSecondHalf, sparkline } from '../pressure/resident.ts';
import type { Seen } from './client.ts';
import { type Place, say, withPlace } from './place.ts';
import { runClients } from './run-clients.ts';

/** What was never seen comes as null: JSON has no NaN. */
const round = (value: number | null, digits = 1): number => (value === null ? Number.NaN : Number(value.toFixed(digits)));

async function told(...given: Parameters<typeof runClients>): Promise<Seen> {
  const { ms: _each, ...seen } = await runClients(...given);
  say(JSON.stringify(seen));
  return seen;
}

/** (Σx)² / (n Σx²), of R. Jain: 1 when all get the same. */
const jain = (rates: readonly number[]): number => rates.reduce((sum, rate) => sum + rate, 0) ** 2 / (rates.length * rates.reduce((sum, rate) => sum + rate ** 2, 0));

const shown = ({ offered, answered, dropped, errors, skipped, latency, interval }: Seen) => ({
  offered, answered, dropped, errors, skipped,
  'interval p50': round(interval.p50), 'interval p95': round(interval.p95), 'latency p50': round(latency.p50), 'latency p95': round(latency.p95),
});

interface Given {
  readonly seconds: number;
  readonly rounds: number;
  readonly picture: string;
  readonly model: string;
}

async function oneAndSixteen({ edge, pipeline }: Place, given: Given) {
  const base = { url: edge.url, seconds: given.seconds, model: given.model, picture: given.picture, policy: 'drop_oldest', framesPerSecond: 20 } as const;
  const rows: Record<string, unknown> = {};
  const [one, asked, many]: [Seen[], Seen[], Seen[]] = [[], [], []];
  for (let at = 1; at <= given.rounds; at++) {
    for (const [kind, into, load] of [
      ['one stream', one, { by: 'stream', sources: 1 }],
      ['one caller', asked, { by: 'http', sources: 1 }],
      ['16 streams', many, { by: 'stream', sources: 16 }],
    ] as const) {
      say(`round ${at} of ${given.rounds}: ${kind}`);
      const before = cpuSeconds(edge.child.pid!) + cpuSeconds(pipeline.child.pid!);
      const seen = await told({ ...base, ...load, name: `${kind.replace(' ', '-')}-${at}` });
      into.push(seen);
      rows[`${kind}, ${at}`] = { ...shown(seen), 'cpu s': round(cpuSeconds(edge.child.pid!) + cpuSeconds(pipeline.child.pid!) - before), jain: round(jain(seen.rates), 3), 'rates': `${round(Math.min(...seen.rates))}–${round(Math.max(...seen.rates))}` };
      // What the last one left behind is worked off.
      await clock.sleep(2_000);
    }
  }
  console.table(rows);
  const of = (all: readonly Seen[], pick: (seen: Seen) => number): number[] => all.map((seen) => round(pick(seen)));
  return {
    one: { interval_p95_ms: of(one, (s) => s.interval.p95), latency_p50_ms: of(one, (s) => s.latency.p50), latency_p95_ms: of(one, (s) => s.latency.p95), answered: of(one, (s) => s.answered), dropped: of(one, (s) => s.dropped + s.skipped), errors: of(one, (s) => s.errors) },
    http: { interval_p95_ms: of(asked, (s) => s.interval.p95), latency_p50_ms: of(asked, (s) => s.latency.p50), latency_p95_ms: of(asked, (s) => s.latency.p95), errors: of(asked, (s) => s.errors) },
    sixteen: { jain: many.map((s) => round(jain(s.rates), 4)), rates: many.map((s) => s.rates.map((rate) => round(rate))), latency_p95_ms: of(many, (s) => s.latency.p95), errors: of(many, (s) => s.errors) },
  };
}

async function manySockets({ edge }: Place, given: Given, sockets: number, everySeconds: number) {
  const memory = sampleResident([{ name: 'edge', pid: edge.child.pid! }]);
  await clock.sleep(3_000);
  const [curve] = memory.curves;
  const idle = curve!.mib.at(-1)!;
  let countedFrom = 0;
  say(`${sockets} sockets, a frame every ${everySeconds} s each`);
  const seen = await told({ url: edge.url, by: 'stream', sources: sockets, framesPerSecond: 1 / everySeconds, seconds: given.seconds, model: given.model, policy: 'drop_oldest', picture: given.picture, name: 'many' }, () => (countedFrom = curve!.mib.length));
  await memory.stop();
  const during = { name: 'edge', mib: curve!.mib.slice(countedFrom) };
  const highest = Math.max(...curve!.mib);
  const unanswered = seen.rates.filter((rate) => rate === 0).length;
  console.table({ [`${sockets} sockets`]: { ...shown(seen), open: seen.sockets, 'closed early': seen.closed, jain: round(jain(seen.rates), 3), 'never answered': unanswered } });
  console.log(`edge, MiB: ${sparkline(curve!, highest * 1.1)}  ${round(idle, 0)} before, ${round(highest, 0)} at most`);
  return {
    sockets: seen.sockets, closed_early: seen.closed, seconds: given.seconds, offered: seen.offered, answered: seen.answered, dropped: seen.dropped, errors: seen.errors, skipped: seen.skipped, jain: round(jain(seen.rates), 4), never_answered: unanswered,
    latency_p50_ms: round(seen.latency.p50), latency_p95_ms: round(seen.latency.p95), latency_p99_ms: round(seen.latency.p99),
    edge_mib: { before: round(idle, 0), highest: round(highest, 0), slope_a_minute: round(slopeOfSecondHalf(during)) },
  };
}

export async function stream(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seconds: { type: 'string' }, rounds: { type: 'string', default: '3' }, sockets: { type: 'string', default: '0' }, every: { type: 'string', default: '5' },
      model: { type: 'string' },
    },
  });
  const [rounds, sockets, every] = [Number(values.rounds), Number(values.sockets), Number(values.every)];
  const seconds = Number(values.seconds ?? (sockets > 0 ? 120 : 20));
  if (![seconds, rounds, every].every((value) => value > 0) || !Number.isInteger(sockets) || sockets < 0) {
    throw new SaccadeError('invalid_config', '--seconds, --rounds and --every are numbers above 0, --sockets a whole one.');
  }
  const model = values.model ?? (sockets > 0 ? 'efficientnet-lite0' : 'nanodet');
  const folder = mkdtempSync(join(tmpdir(), 'saccade-pictures-'));
  const picture = join(folder, 'frame.jpg');
  writeFileSync(picture, await sharp('media/astronaut.jpg').resize(640, 480, { fit: 'cover', position: 'top' }).jpeg({ quality: 80 }).toBuffer());
  try {
    await withPlace(model, async (place) => {
      const given = { seconds, rounds, picture, model: parseModelChoice(model).name };
      const figures = sockets > 0 ? await manySockets(place, given, sockets, every) : await oneAndSixteen(place, given);
      console.log(JSON.stringify({ bench: 'stream', model, ...figures }));
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
