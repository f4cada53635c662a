/**
 * Whether drift tells the truth: how often it cries wolf when nothing has happened, and how soon it sees what has. Footage goes
 * through the real models once; months of it are then made by drawing stretches of it (block bootstrap: frames in a row resemble each
 * other, and single frames drawn at random would resemble nothing), each hour with a mixture of its own. The reference and what is
 * judged are disjoint stretches, and take turns: one half being easier to tell from the other is chance. Intervals tell what the trials
 * leave open, not what more footage would change.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createHash } from 'node:crypto';
import { driftConfig } from '../../processors/drift/config.ts';
import { askModels, modelNames } from './answers.ts';
import { bestTest } from './best-test.ts';
import { costOfDrift } from './cost.ts';
import { footage } from './footage.ts';
import { intruder, mixTilts, pictureShifts, type Shift, strengths } from './shifts.ts';
import { judgePeers, type PeerLot } from './peers.ts';
import { prepare, type Scene, scenes } from './scenes.ts';
import { shiftedOf, stretch } from './stretches.ts';
import { falseAlarms, sight, windowsOfAMonth } from './simulate.ts';

export async function drift(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      media: { type: 'string', default: fileURLToPath(new URL('../../media', import.meta.url)) },
      frames: { type: 'string', default: '3000' },
      days: { type: 'string', default: '7' },
      months: { type: 'string', default: '12' },
      trials: { type: 'string', default: '100' },
      alpha: { type: 'string', default: String(driftConfig.parse({}).alpha) },
      cache: { type: 'string', default: '.saccade/bench-drift' },
      'no-peers': { type: 'boolean', default: false },
    },
  });
  const [frames, months, trials, alpha] = [values.frames, values.months, values.trials, values.alpha].map(Number) as [number, number, number, number];
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  let made: Promise<Buffer[]> | null = null;
  const usual = (): Promise<Buffer[]> => (made ??= footage(values.media, frames));
  const lots = new Map([['usual', usual], ...[...pictureShifts, intruder].map((shift) => [`${shift.kind}, ${shift.strength}`, async () => shifted(shift, await usual())] as const)]);
  const code = ['shifts.ts', 'footage.ts', 'stretches.ts'].map((name) => readFileSync(new URL(name, import.meta.url), 'utf8')).join('');
  const key = createHash('sha256').update([values.media, frames, code].join('\n')).digest('hex');
  const asked = await askModels(lots, values.cache, key, say);

  const worlds = prepare(asked, Number(values.days));
  const quiet = await falseAlarms(worlds, { windows: Math.round((months * windowsOfAMonth) / worlds.length), alpha });
  const rows: (Scene & Awaited<ReturnType<typeof sight>>)[] = [];
  for (const scene of scenes) rows.push({ ...scene, ...(await sight(worlds, scene, { trials: Math.ceil(trials / worlds.length), alpha })) });
  const best = strengths.map((strength) => ({ strength, halves: worlds.map((world, i) => bestTest(world, mixTilts[strength], i + 1)) }));
  const cost = await costOfDrift(asked.get('usual')!);
  const peers = values['no-peers'] ? [] : await judgePeers(worlds, scenes, alpha, say);

  const out = (line: string): void => void process.stdout.write(`${line}\n`);
  const stretches = `${worlds.map((world) => `${world.judged.length} (${world.lots.get('unchanged')!.length} of them changed)`).join(' and ')} stretches of ${stretch} frames`;
  out(`media ${values.media}, ${asked.get('usual')!.answers.nanodet.length} frames, models ${modelNames.join(' and ')}, alpha ${alpha}, reference of ${values.days} days; judged in turn: ${stretches}, the others being the reference`);
  out(`false alarms a month: ${quiet.alarmsAMonth.toFixed(2)} (${quiet.alarms} in ${quiet.months.toFixed(1)} months; 95 %: ${quiet.between.map((rate) => rate.toFixed(2)).join('-')}; of each half ${quiet.byHalf.join(' and ')}); windows called drifted: ${(quiet.windowShare * 100).toFixed(2)} %`);
  out(`cost: ${cost.microseconds.toFixed(0)} us of CPU a prediction, ${(cost.share * 100).toFixed(2)} % of decoding and inference`);
  out('');
  out(`${'shift'.padEnd(26)}${'within 3'.padStart(9)}${'(95 %)'.padStart(11)}${'within 12'.padStart(10)}${'delay'.padStart(7)}${'AUC'.padStart(6)}  seen first in`);
  for (const row of rows) out(`${`${row.kind}, ${row.strength}`.padEnd(26)}${percent(row.within3).padStart(9)}${row.between.map((share) => Math.round(share * 100)).join('-').padStart(11)}${percent(row.within12).padStart(10)}${row.delay === null ? '     –' : row.delay.toFixed(1).padStart(7)}${(Number.isNaN(row.auc) ? '–' : row.auc.toFixed(2)).padStart(6)}  ${row.features.join(', ')}`);
  out('');
  out('the best of all tests of the class mix, which knows the change and each stretch beforehand, of each half of the footage: seen within 3 windows at a false alarm a month, and how far it moves three windows, in deviations of unchanged ones');
  for (const { strength, halves } of best) out(`${`class mix, ${strength}`.padEnd(26)}${halves.map(({ power }) => percent(power)).join(' and ')}; ${halves.map((half) => half.deviations.toFixed(1)).join(' and ')}`);
  if (peers.length > 0) {
    out('');
    out('of single windows called drifted, on the same windows:');
    out(`${''.padEnd(26)}${['saccade', ...Object.keys(peers[0]!.peers)].map((name) => name.padStart(16)).join('')}`);
    for (const lot of peers) out(`${lot.name.padEnd(26)}${[lot.saccade, ...Object.values(lot.peers)].map((share) => percent(share).padStart(16)).join('')}`);
  }
  out(JSON.stringify({ bench: 'drift', media: values.media, frames, alpha, quiet, cost, shifts: rows, best, peers: peers satisfies PeerLot[] }));
  mkdirSync(values.cache, { recursive: true });
  writeFileSync(join(values.cache, 'last.json'), JSON.stringify({ quiet, rows, cost, best, peers }, null, 1));
}

const percent = (share: number): string => `${Math.round(share * 100)} %`;

const together = 8;

/** What is put through the changes, changed. A few at a time: pixels of all of them would fill the memory. */
async function shifted(shift: Shift, frames: readonly Buffer[]): Promise<Buffer[]> {
  const part = shiftedOf(Math.floor(frames.length / stretch)).flatMap((i) => frames.slice(i * stretch, (i + 1) * stretch));
  const changed: Buffer[] = [];
  for (let at = 0; at < part.length; at += together) changed.push(...(await Promise.all(part.slice(at, at + together).map((jpeg) => shift.apply(jpeg)))));
  return changed;
}
