/**
 * One frame at a time, from a client's request to its answer. The phases are those of the answer's timings_ms: produce
 * (acknowledged by the log), queue (waiting for preprocess), decode, tensor_queue, infer, and total as the edge saw it;
 * `client` is the whole of it as the client saw it. Milliseconds.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { SaccadeError } from '../connectors/errors.ts';
import { readRunFile } from '../deploy/local/run-file.ts';
import { distinct } from './distinct.ts';
import { quantile } from './quantiles.ts';

const phases = ['produce', 'queue', 'decode', 'tensor_queue', 'infer', 'total', 'client'] as const;
type Phase = (typeof phases)[number];
type Samples = Record<Phase, number[]>;

const picture = readFileSync(new URL('../media/coffee.jpg', import.meta.url));
const models = ['efficientnet-lite0', 'nanodet'];
/** Not counted: the first requests of a round find cold caches and connections. */
const warmUps = 5;

const round = (value: number): number => Math.round(value * 10) / 10;

async function ask(url: string, model: string): Promise<Record<Phase, number>> {
  const startedAt = performance.now();
  const response = await fetch(`${url}/v1/infer?model=${model}`, { method: 'POST', headers: { 'content-type': 'image/jpeg' }, body: distinct(picture, randomUUID()) });
  const body = (await response.json()) as { timings_ms?: Record<string, number>; title?: string; detail?: string };
  if (!body.timings_ms) throw new SaccadeError('bad_request', `${model} answered ${response.status}: ${body.title} ${body.detail ?? ''}`);
  return { ...(body.timings_ms as Record<Phase, number>), client: performance.now() - startedAt };
}

async function measure(url: string, model: string, count: number): Promise<Samples> {
  const samples = Object.fromEntries(phases.map((phase) => [phase, []])) as unknown as Samples;
  for (let i = -warmUps; i < count; i++) {
    const times = await ask(url, model);
    if (i >= 0) for (const phase of phases) samples[phase].push(times[phase]);
  }
  return samples;
}

function edgeUrl(given: string | undefined): string {
  const data = resolve(process.env.SACCADE_DATA ?? '.saccade');
  const url = given ?? readRunFile(data)?.edge?.url;
  if (!url) throw new SaccadeError('not_ready', `No pipeline with an edge runs on ${data}. Start one with: npm start -- --source none`);
  return url;
}

export async function latency(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: { url: { type: 'string' }, count: { type: 'string', default: '50' }, rounds: { type: 'string', default: '3' } },
  });
  const [count, rounds] = [Number(values.count), Number(values.rounds)];
  if (!Number.isInteger(count) || count < 1 || !Number.isInteger(rounds) || rounds < 1) {
    throw new SaccadeError('invalid_config', `--count and --rounds are whole numbers above 0, not ${values.count} and ${values.rounds}.`);
  }
  const url = edgeUrl(values.url);
  const found = new Map<string, Samples[]>(models.map((model) => [model, []]));
  for (let at = 1; at <= rounds; at++) {
    // In turn, so that a machine whose speed drifts does not favour one of them.
    for (const model of models) {
      found.get(model)!.push(await measure(url, model, count));
      process.stderr.write(`round ${at} of ${rounds}: ${model}\n`);
    }
  }
  const summary = Object.fromEntries(
    models.map((model) => {
      const all = found.get(model)!;
      const p50s = all.map(({ client }) => round(quantile(client, 0.5)));
      const merged = Object.fromEntries(phases.map((phase) => [phase, all.flatMap((samples) => samples[phase])])) as Samples;
      console.log(`\n${model}`);
      console.table(Object.fromEntries(phases.map((phase) => [phase, { p50: round(quantile(merged[phase], 0.5)), p95: round(quantile(merged[phase], 0.95)) }])));
      return [model, { p50: round(quantile(merged.client, 0.5)), p95: round(quantile(merged.client, 0.95)), p50_by_round: p50s }];
    }),
  );
  console.log(JSON.stringify({ bench: 'latency', requests: count * rounds, ms: summary }));
}
