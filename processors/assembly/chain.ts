/** The stages of topology.ts that this process runs, on its connectors. */
import type { Clock, Store } from '../../connectors/ports.ts';
import { alertsTopic, driftWindowsTopic, ingestOf, inputTopic, keptTopic } from '../../schemas/topics.ts';
import { openJournal } from '../connect.ts';
import { inferStage } from '../infer/infer.ts';
import { ingestStage } from '../ingest/ingest.ts';
import { runtimeLimits } from '../limits.ts';
import { preprocessConfig } from '../preprocess/config.ts';
import { preprocessStage } from '../preprocess/preprocess.ts';
import { runtimeMetrics } from '../runtime/metrics.ts';
import { patiently } from '../runtime/patience.ts';
import { createPipeline, type Pipeline } from '../runtime/pipeline.ts';
import type { Step } from '../runtime/wiring.ts';
import { sinkConfig } from '../sink/config.ts';
import { alertColumns, alertsTable, windowColumns, windowsTable } from '../sink/drift-rows.ts';
import { keptColumns, keptTable } from '../sink/kept-rows.ts';
import { sinkStage } from '../sink/sink.ts';
import { tableSink } from '../sink/table-sink.ts';
import type { Model } from '../../schemas/model-card.ts';
import type { Stage } from '../stage.ts';
import { inferStep, type Stages, topology } from '../topology.ts';
import type { Foundation } from './foundation.ts';
import type { Inference } from './inference.ts';
import type { Intake } from './intake.ts';

const stopLimitMs = 5_000;

/** Few and small records, of which nobody waits for the first. */
const driftBatch = sinkConfig.parse({ records: 200, concurrency: 1 });

function sinks(store: Store, clock: Clock): Record<string, Stage<never>> {
  return {
    predictions: sinkStage({ store, clock, batch: sinkConfig.parse({}) }),
    [driftWindowsTopic]: tableSink({ name: 'sink.drift', store, batch: driftBatch, table: windowsTable, columns: windowColumns }),
    [alertsTopic]: tableSink({ name: 'sink.alerts', store, batch: driftBatch, table: alertsTable, columns: alertColumns }),
    [keptTopic]: tableSink({ name: 'sink.kept', store, batch: driftBatch, table: keptTable, columns: keptColumns }),
  };
}

/** Nothing is consumed before pipeline.start(). */
export function makeChain(base: Foundation, { admission }: Intake, { served, answers, cacheRules, current }: Inference, store: Store | null, drift: Stages['drift'] | null, keep: Stages['keep']): { readonly pipeline: Pipeline; readonly steps: readonly Step[]; readonly inferStepOf: (model: Model) => Step } {
  const { settings: s, models, rules, blobs, clock, log, producer, registry, data, logger, metrics, ending, say } = base;
  const infer = ({ card: { name } }: Model): Stage<never> => inferStage({ serving: served!.serving(name), engine: served!.engine, clock, answers }) as Stage<never>;
  // One that was loaded while others ran, and cannot be here, waits for a process that can, or for a person.
  const steps = topology(s.SACCADE_STAGES, models.all().filter(({ card }) => served?.answering(card.name)), {
    ingest: () => Object.fromEntries([[inputTopic, s.SACCADE_TENANT] as const, ...s.SACCADE_TENANT_TOPICS].map(([topic, tenant]) => [topic, ingestStage({ name: ingestOf(topic), rules, tenant, lanes: admission.lanesOf(topic) })])),
    preprocess: () => preprocessStage({ models, blobs, limits: preprocessConfig.parse({ maxPixels: s.SACCADE_MAX_PIXELS }), clock, cache: cacheRules, current }),
    overflow: () => admission.overflow,
    infer: () => infer,
    sink: () => sinks({ ...store!, migrate: () => patiently(() => store!.migrate(), { clock, say }) }, clock),
    keep: () => keep,
    drift: () => drift!,
  });
  const journal = openJournal(log, data, logger.child({ component: 'journal' }));
  // After the pipeline has stopped: what it could not finish in time killed nobody.
  if (journal) ending.add('journal', () => journal.close());
  const pipeline = createPipeline({
    steps,
    fuse: s.SACCADE_FUSE ?? [],
    log,
    producer,
    registry,
    clock,
    metrics: runtimeMetrics(metrics),
    logger: (stage) => logger.child({ stage }),
    blobs,
    journal,
    announce: say,
    limits: runtimeLimits(s),
  });
  ending.add('pipeline', () => {
    admission.release();
    return pipeline.stop(stopLimitMs);
  });
  return { pipeline, steps, inferStepOf: (model) => inferStep(infer(model), model) };
}
