/** Who has to have read a topic before a source may go on elsewhere in it: `partitions add` waits for these groups. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadModels } from '../connectors/models/repository.ts';
import { groupsReading } from '../processors/readers.ts';
import type { Stage } from '../processors/stage.ts';
import { stageFamilies, topology } from '../processors/topology.ts';
import { alertsTopic, driftWindowsTopic, keptTopic } from '../schemas/topics.ts';
import { modelsRoot } from './support/models.ts';

const named = (name: string): Stage<never> => ({ name, batch: { records: 1, bytes: 1, waitMs: 0, concurrency: 1 }, process: async () => [] });

describe('the groups that read a topic', async () => {
  const models = await loadModels(modelsRoot, ['nanodet']);
  const steps = topology(stageFamilies, models, {
    ingest: () => ({ 'frames.in': named('ingest') }),
    preprocess: () => named('preprocess'),
    overflow: () => () => named('preprocess.overflow'),
    infer: () => (model) => named(`infer.${model.card.name}`),
    sink: () => ({ predictions: named('sink'), [driftWindowsTopic]: named('sink.drift'), [alertsTopic]: named('sink.alerts'), [keptTopic]: named('sink.kept') }),
    keep: () => ({ predictions: named('keep'), [driftWindowsTopic]: named('keep.examples') }),
    drift: () => ({ drift: named('drift'), notify: named('notify') }),
  });

  for (const topic of new Set(steps.map(({ from }) => from))) {
    test(`${topic}: each commits there, or the wait would never end`, () => {
      const groups = groupsReading(topic);
      assert.ok(groups.length > 0);
      const committing = new Set(steps.filter(({ from }) => from === topic).map(({ group }) => group));
      assert.deepEqual(groups.filter((group) => !committing.has(group)), []);
    });
  }

  test('where they are new, all begin with what their topic holds, but those that keep frames', () => {
    assert.deepEqual(steps.filter(({ begins }) => begins).map(({ stage }) => stage.name), ['keep', 'keep.examples']);
  });

  test('who keeps frames is waited for nowhere: it fetches by place, and need not be run', () => {
    for (const topic of ['frames', 'frames.overflow', 'predictions', driftWindowsTopic]) assert.ok(!groupsReading(topic).some((group) => group.includes('keep')), topic);
  });
});
