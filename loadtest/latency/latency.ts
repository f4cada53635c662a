/**
 * One frame at a time, from a client's request to its answer, by phase; beside it, in the same rounds, the same work with no
 * pipeline around it (the floor), and requests with several pictures.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { SaccadeError } from '../../connectors/errors.ts';
import { readRunFile } from '../../deploy/local/run-file.ts';
import { stageFamilies } from '../../processors/topology.ts';
import { quantile } from '../quantiles.ts';
import { startStage } from '../stage-process.ts';
import { ask, askBatch, type Phase, phases, picture } from './ask.ts';
import { openFloor } from './floor.ts';

type Samples = Record<Phase | 'floor', number[]>;

const models = ['efficientnet-lite0', 'nanodet'];
/** Not counted: the first requests of a round find cold caches and connections. */
const warmUps = 5;
const batchesOfARound = 5;

const round = (value: number): number => Math.round(value * 10) / 10;
const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function measure(url: string, model: string, count: number): Promise<Samples> {
  const samples = Object.fromEntries([...phases, 'floor'].map((phase) => [phase, []])) as unknown as Samples;
  const floor = await openFloor(model);
  for (let i = -warmUps; i < count; i++) {
    const times = { ...(await ask(url, model)), floor: await floor.once(picture) };
    if (i >= 0) for (const phase of [...phases, 'floor'] as const) samples[phase].push(times[phase]);
  }
  await floor.close();
  return samples;
}

/** The edge that is given or runs, else one of a whole pipeline of our own. */
async function edge(given: string | undefined): Promise<{ readonly url: string; close(): Promise<void> }> {
  const running = given ?? readRunFile(resolve(process.env.SACCADE_DATA ?? '.saccade'))?.edge?.url;
  if (running) return { url: running, close: async () => {} };
  const folder = mkdtempSync(join(tmpdir(), 'saccade-latency-'));
  say('no pipeline runs here: starting one');
  const started = await startStage(stageFamilies.join(','), { SACCADE_DATA: folder, SACCADE_QUOTA_FPS: '0' });
  return {
    url: started.url,
    async close() {
      await started.stop();
      rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
    },
  };
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new SaccadeError('invalid_config', `--${name} is a whole number above 0, not ${text}.`);
  return value;
}

export async function latency(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: { url: { type: 'string' }, count: { type: 'string', default: '50' }, rounds: { type: 'string', default: '3' }, batch: { type: 'string', default: '32' } },
  });
  const [count, rounds, batch] = [wholeNumber('count', values.count), wholeNumber('rounds', values.rounds), wholeNumber('batch', values.batch)];
  const { url, close } = await edge(values.url);
  const found = new Map<string, Samples[]>(models.map((model) => [model, []]));
  const batches: number[] = [];
  try {
    for (let at = 1; at <= rounds; at++) {
      // In turn, so that a machine whose speed drifts does not favour one of them.
      for (const model of models) {
        found.get(model)!.push(await measure(url, model, count));
        say(`round ${at} of ${rounds}: ${model}`);
      }
      for (let i = -1; i < batchesOfARound; i++) {
        const ms = await askBatch(url, models[0]!, batch);
        if (i >= 0) batches.push(ms);
      }
    }
  } finally {
    await close();
  }
  const summary = Object.fromEntries(models.map((model) => [model, summaryOf(model, found.get(model)!)]));
  const ofBatches = { pictures: batch, requests: batches.length, p50: round(quantile(batches, 0.5)), p95: round(quantile(batches, 0.95)) };
  console.log(`\nmilliseconds a picture in requests with ${batch} of them (${models[0]}): p50 ${ofBatches.p50}, p95 ${ofBatches.p95}`);
  console.log(JSON.stringify({ bench: 'latency', requests: count * rounds, ms: summary, batch_ms_per_image: ofBatches }));
}

function summaryOf(model: string, all: readonly Samples[]) {
  const merged = (phase: Phase | 'floor'): number[] => all.flatMap((samples) => samples[phase]);
  console.log(`\n${model}`);
  console.table(Object.fromEntries([...phases, 'floor'].map((phase) => [phase, { p50: round(quantile(merged(phase as Phase), 0.5)), p95: round(quantile(merged(phase as Phase), 0.95)) }])));
  // Of the same round: the machine's speed drifts.
  const above = all.map(({ client, floor }) => round(quantile(client, 0.5) - quantile(floor, 0.5)));
  return {
    p50: round(quantile(merged('client'), 0.5)),
    p95: round(quantile(merged('client'), 0.95)),
    p50_by_round: all.map(({ client }) => round(quantile(client, 0.5))),
    floor_p50: round(quantile(merged('floor'), 0.5)),
    p50_above_floor_by_round: above,
  };
}
