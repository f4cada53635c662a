/** Brings what runs in this process into line with the set of models, whenever one comes, changes or goes. */
import { Gauge } from 'prom-client';
import type { Model } from '../../schemas/model-card.ts';
import { deadLetterTopic, tensorTopic } from '../../schemas/topics.ts';
import type { Edge } from '../edge/edge.ts';
import type { Standing } from '../model-set.ts';
import { patiently } from '../runtime/patience.ts';
import type { makeChain } from './chain.ts';
import type { Foundation } from './foundation.ts';
import type { Inference } from './inference.ts';

const stopLimitMs = 30_000;

/** Resolves when the process has said for the first time what it serves. */
export async function followModels({ models, log, registry, topicsOf, clock, metrics, ending, wants, say }: Foundation, { served, current, degraded }: Inference, { pipeline, inferStepOf }: ReturnType<typeof makeChain>, edge: Edge | null): Promise<void> {
  const prepared = new Set(models.all().map(({ card }) => card.name));

  async function come(model: Model): Promise<Standing> {
    const { name } = model.card;
    if (!prepared.has(name)) {
      const topics = topicsOf([name]).filter((topic) => topic.name === tensorTopic(name) || topic.name === deadLetterTopic(tensorTopic(name)));
      await patiently(() => log.ensureTopics(topics), { clock, say });
      await patiently(() => registry.prepare(topics), { clock, say });
      prepared.add(name);
    }
    await served?.follow(name);
    if (wants('infer')) await pipeline.add(inferStepOf(model));
    // What was let in before the doors closed, where they just have, is in the log once this process says so.
    await edge?.settled();
    return { version: current(model).card.version, trouble: served?.degraded()[`model ${name}`] ?? null };
  }

  async function go(name: string): Promise<Standing> {
    await pipeline.remove(`infer.${name}`, stopLimitMs);
    await served?.follow(name);
    return { version: null, trouble: null };
  }

  new Gauge({
    name: 'saccade_model_degraded',
    help: '1 where the model is not served as it was asked for: /ready says why.',
    labelNames: ['model'],
    registers: [metrics],
    collect() {
      this.reset();
      for (const { card } of models.all()) this.set({ model: card.name }, 0);
      for (const key of Object.keys(degraded())) this.set({ model: key.slice('model '.length) }, 1);
    },
  });
  ending.add('changes of models', () => models.rest());
  await models.begin((name) => {
    const model = models.find(name);
    return model ? come(model) : go(name);
  });
}
