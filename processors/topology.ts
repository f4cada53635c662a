/**
 * The whole chain on one screen.
 *
 *   frames.in ─▶ ingest ─▶ frames ─▶ preprocess ─▶ tensors.<model> ─▶ infer.<model> ─▶ predictions ─▶ sink ─▶ ClickHouse
 *                               │                                             ├─▶ drift ─▶ drift.windows, alerts ─▶ sink, notify
 *                               │                                             └─▶ keep (and drift.windows ─▶ keep.examples) ─▶ frames.kept ─▶ sink
 *        (a source above its    ▲                  ▲                          │
 *        quota: frames.overflow │ ─▶ preprocess.overflow, as far as there is room behind)
 *                      edge ────┘                    replies ◀────────────────┘ (also from preprocess, for what ended early)
 *
 * frames.in.NAME, a tenant's own, has an ingest.NAME. What no stage can process goes to <its input>.dlq. Left of `to` are a stage's own names.
 */
import type { Model } from '../schemas/model-card.ts';
import { alertsTopic, driftStateTopic, driftWindowsTopic, ingestOf, inputTopic, keptTopic, overflowTopic, tensorTopic } from '../schemas/topics.ts';
import type { Step } from './runtime/wiring.ts';
import type { Stage } from './stage.ts';

export interface Stages {
  readonly ingest: Readonly<Record<string, Stage<never>>>; // by the topic that each reads
  readonly preprocess: Stage<never>;
  /** Preprocess as the reader of the overflow lane. */
  readonly overflow: (preprocess: Stage<never>) => Stage<never>;
  readonly infer: (model: Model) => Stage<never>;
  /** By the topic that each stores. */
  readonly sink: Readonly<Record<string, Stage<never>>>;
  /** By the topic that each reads. */
  readonly keep: Readonly<Record<string, Stage<never>>>;
  readonly drift: { readonly drift: Stage<never>; readonly notify?: Stage<never> | undefined };
}

export const stageFamilies = ['ingest', 'preprocess', 'infer', 'sink', 'drift', 'keep', 'edge'] as const;
export type StageFamily = (typeof stageFamilies)[number];

/** Only the stages wanted are made: a sink needs a store, infer an engine; `models` are those of the start. `edge` is not a step: it has clients, not a group. */
export function topology(wanted: readonly StageFamily[], models: readonly Model[], make: { [K in keyof Stages]: () => Stages[K] }): Step[] {
  const chain: Record<Exclude<StageFamily, 'edge'>, () => Step[]> = {
    ingest: () => Object.entries(make.ingest()).map(([topic, ingest]) => step(ingest, topic, { frames: 'frames', overflow: overflowTopic, predictions: 'predictions' })),
    preprocess: (preprocess = make.preprocess(), to = { '*': tensorTopic('*'), ...answers }) => [
      step(preprocess, 'frames', to),
      { ...step(make.overflow()(preprocess), overflowTopic, to), bypassable: false },
    ],
    infer: (infer = make.infer()) => models.map((model) => inferStep(infer(model), model)),
    sink: () => Object.entries(make.sink()).map(([topic, sink]) => step(sink, topic, {})),
    keep: () => Object.entries(make.keep()).map(([topic, keep]) => ({ ...step(keep, topic, { kept: keptTopic }), begins: 'latest' })),
    drift: ({ drift, notify } = make.drift()) => [
      step(drift, 'predictions', { windows: driftWindowsTopic, alerts: alertsTopic, state: driftStateTopic }),
      ...(notify ? [step(notify, alertsTopic, {})] : []),
    ],
  };
  return wanted.flatMap((family) => (family === 'edge' ? [] : chain[family]()));
}

/** A group is named after its stage, so each model's group scales on its own lag. */
export const groupOf = (stage: string): string => `saccade.${stage}`;

const answers = { predictions: 'predictions', replies: 'replies' };
export const inferStep = (stage: Stage<never>, { card }: Model): Step => step(stage, tensorTopic(card.name), answers);

const step = (stage: Stage<never>, from: string, to: Record<string, string>): Step => ({ stage, from, group: groupOf(stage.name), to });

/** What the page shows as the chain, wherever each stage runs. */
export function stagesToWatch(models: readonly string[], tenantTopics: readonly string[] = []): { stage: string; group: string; topic: string }[] {
  const watched: [string, string][] = [
    ...[[ingestOf(inputTopic), inputTopic], ...tenantTopics.map((topic) => [ingestOf(topic), topic]), ['preprocess', 'frames'], ['preprocess.overflow', overflowTopic]] as [string, string][],
    ...models.map((name): [string, string] => [`infer.${name}`, tensorTopic(name)]),
    ['sink', 'predictions'],
  ];
  return watched.map(([stage, topic]) => ({ stage, group: groupOf(stage), topic }));
}
