/** How long pictures lie in the log as they came, where faces are covered in what is shown. */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { type KafkaAdmin, kafkaAdmin } from '../connectors/kafka/admin.ts';
import { keptTooLong } from '../processors/connect.ts';
import { readConfig } from '../processors/config.ts';
import { holdsPictures, topicSpecs } from '../schemas/topics.ts';
import type { Stack } from '../deploy/local/stack.ts';
import { kafkaBrokers, needsKafka } from './support/components.ts';
import { silent, testTopic, uniqueName } from './support/kafka.ts';

const hourMs = 3_600_000;
const defaults = { partitions: 1, replication: 1, minInSync: 1, maxRecordBytes: 1e6 };

test('topics of pictures and their dead letters are capped, the others are not', () => {
  const usual = new Map(topicSpecs(['nanodet'], defaults).map((spec) => [spec.name, spec]));
  for (const rawHours of [24, 6, 1, 720]) {
    for (const { name, retentionMs, segmentMs } of topicSpecs(['nanodet'], { ...defaults, rawHours })) {
      const usually = usual.get(name)!.retentionMs;
      assert.equal(usual.get(name)!.segmentMs, undefined);
      if (!holdsPictures(name)) assert.deepEqual([retentionMs, segmentMs], [usually, undefined], name);
      else assert.ok(Math.abs(retentionMs + segmentMs! - Math.min(usually, rawHours * hourMs)) <= 1, `${name}: ${retentionMs} + ${segmentMs}`);
    }
  }
  const held = [...usual.keys()].filter(holdsPictures).toSorted();
  assert.deepEqual(held, ['frames', 'frames.dlq', 'frames.in', 'frames.in.dlq', 'frames.overflow', 'frames.overflow.dlq', 'tensors.nanodet', 'tensors.nanodet.dlq']);
});

describe('on Kafka', { skip: needsKafka }, () => {
  let admin: KafkaAdmin;
  before(() => void (admin = kafkaAdmin({ brokers: kafkaBrokers!, clientId: 'raw-pictures', log: silent })));
  after(() => admin?.close());
  const keptFor = (specs: Parameters<typeof keptTooLong>[2]) =>
    keptTooLong(readConfig([], {}, '/nonexistent'), { kafka: { kind: 'kafka', brokers: kafkaBrokers! } } as unknown as Stack, specs, silent);

  test('a topic is created with the limit; one from before, kept for a week, is told', async () => {
    const capped = testTopic({ name: uniqueName('capped'), retentionMs: 20 * hourMs, segmentMs: 4 * hourMs });
    const { segmentMs: _, ...old } = { ...capped, name: uniqueName('old'), retentionMs: 168 * hourMs };
    const forEver = { ...old, name: uniqueName('for-ever'), retentionMs: -1 };
    await admin.ensureTopics([capped, old, forEver]);
    assert.equal((await admin.keptMs([capped.name])).get(capped.name), 24 * hourMs);
    const asked = [capped, { ...capped, name: old.name }, { ...capped, name: forEver.name }];
    assert.deepEqual((await keptFor(asked)).map(({ spec, ms }) => [spec.name, ms]), [[old.name, 336 * hourMs], [forEver.name, Infinity]]);
  });

  test('a topic that is not there is an error, not a promise', () => assert.rejects(keptFor([testTopic({ name: uniqueName('none'), segmentMs: 1 })])));
});
