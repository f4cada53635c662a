/** One process of the deployment: starts the real pipeline on simulated ports, dies, and is started again by its supervisor. */
import { createAdmission } from '../../../processors/admission.ts';
import { accept } from '../../../processors/ingest/accept.ts';
import { ingestStage } from '../../../processors/ingest/ingest.ts';
import type { RuntimeMetrics, StageMetrics } from '../../../processors/runtime/metrics.ts';
import { createPipeline } from '../../../processors/runtime/pipeline.ts';
import { sinkStage } from '../../../processors/sink/sink.ts';
import type { Stage } from '../../../processors/stage.ts';
import { inferStep, topology } from '../../../processors/topology.ts';
import type { Model } from '../../../schemas/model-card.ts';
import { models, type ProcessPlan } from '../world/scenario.ts';
import type { World } from '../world/world.ts';
import { createLife, type Life } from './life.ts';
import { portsOf } from './ports.ts';
import { cheapInfer, cheapPreprocess, maxRecordBytes } from './stages.ts';

export const tenant = 'default';
export const maxImageBytes = 2_600;
const claimCheckBytes = 1_500;
const stopLimitMs = 2_000;

export const rulesWith = (blobs: Parameters<typeof accept>[1]['blobs']): Parameters<typeof accept>[1] => ({
  maxImageBytes,
  claimCheckBytes,
  models,
  blobs,
});

export interface Node {
  readonly life: Life;
  /** As SIGTERM: stops in order, within its limit. */
  stop(): void;
}

const served = models.map((name) => ({ card: { name, version: '1' } }) as unknown as Model);
const comesAndGoes = served.at(-1)!;

/** Metrics are read by nobody here; what they would say is judged from outside. */
const silent: StageMetrics = {
  records() {},
  dropped() {},
  deadLettered() {},
  batch() {},
  phase() {},
  inFlight() {},
  rebalanced() {},
  expired() {},
  paused() {},
  rests() {},
  halted() {},
};
const noMetrics = { stage: () => silent, lag() {}, waits() {} } as unknown as RuntimeMetrics;
const noLogger = { debug() {}, info() {}, warn() {}, error() {} };

export function startNode(world: World, plan: ProcessPlan, birth: number): Node {
  const { scenario, random, weather, broken } = world;
  const life = createLife(world, `${plan.name}#${birth}`);
  const ports = broken.ports?.(portsOf(world, life), { random, life }) ?? portsOf(world, life);
  const variant = (stage: Stage<never>): Stage<never> => broken.stage?.(stage) ?? stage;
  const cast = (stage: unknown): Stage<never> => variant(stage as Stage<never>);
  const sinkBatch = { records: 50, bytes: 100_000, waitMs: 200, steadyWaitMs: random.pick([0, 1_000]), concurrency: random.pick([1, 2]) };

  const clock = broken.clock?.(life.clock) ?? life.clock;
  const admission = createAdmission({ log: ports.log, producer: ports.producer, clock, models: () => models, rules: scenario.quota, reader: life.name });

  const live = scenario.live && plan.fused;
  const infer = ({ card: { name } }: Model): Stage<never> => cast(cheapInfer(world, life, name));
  const pipeline = createPipeline({
    ...ports,
    steps: topology(plan.families, served.filter((model) => !live || model !== comesAndGoes), {
      ingest: () => ({ 'frames.in': cast(ingestStage({ rules: rulesWith(ports.blobs), tenant, lanes: admission.lanesOf('frames.in') })) }),
      preprocess: () => cast(cheapPreprocess(world, life, ports.blobs)),
      overflow: () => admission.overflow,
      infer: () => infer,
      sink: () => ({ predictions: cast(sinkStage({ store: ports.store, clock, batch: sinkBatch })) }),
      keep: () => ({}),
      drift: () => {
        throw new TypeError('no drift here');
      },
    }),
    fuse: plan.fused ? [['preprocess', 'infer']] : [],
    clock,
    random: random.next,
    metrics: noMetrics,
    logger: () => noLogger,
    limits: {
      inFlightBytes: scenario.inFlightBytes,
      fetchBytes: 4 * scenario.fetchBytesPerPartition,
      fetchBytesPerPartition: scenario.fetchBytesPerPartition,
      maxRecordBytes,
      commitIntervalMs: scenario.commitIntervalMs,
    },
  });
  world.note(life.name, `starts ${plan.families.join('+')}${plan.fused ? ', fused' : ''}`);
  pipeline.start().then(() => (live ? comeAndGo() : undefined), (error: unknown) => life.end(`could not start: ${String(error)}`));

  /** It is here for good once it is calm. */
  async function comeAndGo(): Promise<void> {
    const step = inferStep(infer(comesAndGoes), comesAndGoes);
    for (let here = false; !here || weather.stormy(); ) {
      await life.clock.sleep(random.between(0, 6_000));
      world.note(life.name, `${here ? 'lets go of' : 'takes in'} ${step.stage.name}`);
      here = here ? (await pipeline.remove(step.stage.name, stopLimitMs), false) : await pipeline.add(step).then(() => true, () => false);
    }
  }

  return {
    life,
    stop() {
      if (!life.alive) return;
      life.stopping = true;
      world.note(life.name, 'is told to stop');
      const killed = world.time.after(stopLimitMs + 3_000, () => life.end('did not stop in time'));
      admission.release();
      void pipeline.stop(stopLimitMs).then(() => {
        killed.cancel();
        if (life.alive) ports.journal.close();
        life.end('stopped');
      });
    },
  };
}
