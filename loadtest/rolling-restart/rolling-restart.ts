/**
 * A rolling restart of every stage under a steady load: each stage as two processes of its own, restarted in turn, first by
 * stopping the old one before the new one starts, then the other way round. Latency of a frame is from the producer's call
 * to its record on `predictions` here; of a request from its first attempt to its answer.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { clickhouseStore } from '../../connectors/clickhouse/store.ts';
import { SaccadeError } from '../../connectors/errors.ts';
import { kafkaLog } from '../../connectors/kafka/log.ts';
import { confluentRegistry } from '../../connectors/registry/confluent.ts';
import { type Stack, startStack } from '../../deploy/local/stack.ts';
import { systemClock as clock } from '../../processors/runtime/clock.ts';
import { stageFamilies } from '../../processors/topology.ts';
import { type StageProcess, startStage } from '../stage-process.ts';
import { startFrames } from './frames.ts';
import { rowOf, rowsBy } from './report.ts';
import { startRequests } from './requests.ts';

const model = 'efficientnet-lite0';
const picture = readFileSync(new URL('../../media/coffee.jpg', import.meta.url));
const silent = { debug() {}, info() {}, warn() {}, error() {} };
const say = (line: string): void => void process.stderr.write(`${line}\n`);

type Order = 'stop-first' | 'start-first';

function numberOf(name: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < least) throw new SaccadeError('invalid_config', `--${name} is a number of at least ${least}, not ${text}.`);
  return value;
}

export async function rollingRestart(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      rate: { type: 'string', default: '10' },
      requests: { type: 'string', default: '2' },
      each: { type: 'string', default: '2' },
      steady: { type: 'string', default: '20' },
      settle: { type: 'string', default: '2' },
      stages: { type: 'string', default: stageFamilies.join(',') },
    },
  });
  const given = {
    rate: numberOf('rate', values.rate, 0.1),
    requests: numberOf('requests', values.requests, 0.1),
    each: Math.floor(numberOf('each', values.each, 1)),
    steadyMs: numberOf('steady', values.steady, 1) * 1000,
    settleMs: numberOf('settle', values.settle, 0) * 1000,
    stages: values.stages.split(','),
  };
  const folder = mkdtempSync(join(tmpdir(), 'saccade-rolling-'));
  const stack = await startStack({ dataDir: folder, say });
  try {
    if (stack.kafka.kind === 'memory') throw new SaccadeError('invalid_config', 'The bench needs Kafka: install Java 17 and Maven.');
    await measure(folder, stack, given);
  } finally {
    await stack.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
  }
}

interface Given {
  readonly rate: number;
  readonly requests: number;
  readonly each: number;
  readonly steadyMs: number;
  readonly settleMs: number;
  readonly stages: readonly string[];
}

async function measure(folder: string, stack: Stack, given: Given): Promise<void> {
  const env = {
    KAFKA_BROKERS: stack.kafka.brokers.join(','),
    SCHEMA_REGISTRY_URL: stack.registry.url!,
    CLICKHOUSE_URL: stack.clickhouse!.url,
    SACCADE_MODELS: model,
    SACCADE_BLOBS_DIR: join(folder, 'blobs'),
  };
  let started = 0;
  const start = (stage: string): Promise<StageProcess> => startStage(stage, { ...env, SACCADE_DATA: join(folder, `${stage}-${(started += 1)}`) });
  const processes: StageProcess[] = [];
  let phase = 'warm-up';

  // One after the other: ten processes that start at once on few cores time each other out.
  for (const stage of stageFamilies) for (let i = 0; i < given.each; i += 1) processes.push(await start(stage));
  say(`${processes.length} processes are up`);
  const log = kafkaLog({ brokers: stack.kafka.brokers, clientId: 'saccade-bench', log: silent });
  const shared = { clock, picture, phase: () => phase };
  const frames = await startFrames({ ...shared, log, producer: await log.producer(), registry: confluentRegistry({ url: stack.registry.url! }), tenant: 'default', rate: given.rate });
  const requests = startRequests({ ...shared, model, rate: given.requests, limitMs: 20_000, edges: () => processes.filter(({ stage }) => stage === 'edge').map(({ url }) => url) });
  await clock.sleep(8_000);
  phase = 'steady';
  await clock.sleep(given.steadyMs);

  async function restart(old: StageProcess, order: Order): Promise<void> {
    phase = `${order}/${old.stage}`;
    const at = processes.indexOf(old);
    const startedAt = clock.now();
    let [stopMs, startMs] = [0, 0];
    const stop = async (): Promise<void> => {
      const from = clock.now();
      await old.stop();
      stopMs = clock.now() - from;
    };
    const come = async (): Promise<void> => {
      const from = clock.now();
      processes[at] = await start(old.stage);
      startMs = clock.now() - from;
    };
    for (const act of order === 'stop-first' ? [stop, come] : [come, stop]) await act();
    say(`${order} ${old.stage}: stopped in ${stopMs} ms, started in ${startMs} ms, together ${clock.now() - startedAt} ms`);
    await clock.sleep(given.settleMs);
  }

  for (const order of ['stop-first', 'start-first'] as const) {
    for (const old of processes) if (given.stages.includes(old.stage)) await restart(old, order);
  }
  await requests.finish();
  await frames.finish(20_000);
  const store = clickhouseStore({ ...stack.clickhouse!, database: 'saccade', kind: 'chdb' });
  const [stored] = await store.query<{ n: number | string; repeats: number | string }>("select count() as n, count() - uniqExact(frame_id, model) as repeats from outcomes where source != 'http'");
  await store.close();
  await log.close();
  await Promise.all(processes.map((one) => one.stop()));

  const sent = [...frames.frames.values()];
  const orderOf = (name: string): string => name.split('/')[0]!;
  console.table(rowsBy(sent, requests.requests, (name) => (name.includes('/') ? name : null)));
  const byOrder = rowsBy(sent, requests.requests, (name) => (name === 'warm-up' ? null : orderOf(name)));
  console.table(byOrder);
  const all = rowOf(sent, requests.requests);
  const acknowledged = sent.filter(({ ackedAt }) => ackedAt !== null).length;
  console.log(
    JSON.stringify({
      bench: 'rolling-restart',
      rate: given.rate,
      processes: processes.length,
      acknowledged,
      lost: all.lost,
      repeated_on_topic: all.repeated,
      lost_in_store: acknowledged - Number(stored!.n),
      repeated_in_store: Number(stored!.repeats),
      disordered: frames.disordered,
      not_ok: sent.filter(({ status }) => status !== null && status !== 'ok').length,
      ms: byOrder,
    }),
  );
}
