import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { memoryLog } from '../connectors/memory/log.ts';
import { SaccadeError } from '../connectors/errors.ts';
import type { Log } from '../connectors/ports.ts';
import { followTable } from '../processors/runtime/control-table.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import { needsKafka } from './support/components.ts';
import { outgoing, testKafkaLog, testTopic, until } from './support/kafka.ts';

const text = (entries: ReadonlyMap<string, Buffer>): Record<string, string> =>
  Object.fromEntries([...entries].map(([key, value]) => [key, value.toString()]));

for (const [name, make, skip] of [['in process', memoryLog, false], ['on Kafka', testKafkaLog, needsKafka]] as const) {
  describe(`a control table ${name}`, { skip }, () => {
    const log: Log = skip ? memoryLog() : make();
    after(() => log.close());
    const open = async () => {
      const spec = testTopic({ partitions: 1, compacted: true });
      await log.ensureTopics([spec]);
      return { topic: spec.name, producer: await log.producer(), log, clock: systemClock };
    };

    test('holds the latest value of each key that was there, then follows', async () => {
      const at = await open();
      await at.producer.send([
        outgoing(at.topic, 'a', '1'), outgoing(at.topic, 'b', '1'), outgoing(at.topic, 'a', '2'), outgoing(at.topic, 'b', null), outgoing(at.topic, 'c', '3'),
      ]);
      const changes: [string, string | null][] = [];
      const table = await followTable({ ...at, changed: (key, value) => changes.push([key, value?.toString() ?? null]) });
      assert.deepEqual(text(table.entries()), { a: '2', c: '3' });
      const second = await followTable(at);
      await table.put('d', Buffer.from('4'));
      await table.put('a', null);
      await until('both have read it', () => table.get('d') !== null && table.get('a') === null && second.get('d') !== null && second.get('a') === null);
      assert.deepEqual(text(second.entries()), { c: '3', d: '4' });
      assert.deepEqual(changes.at(-1), ['a', null]);
      assert.deepEqual(changes.slice(0, 2), [['a', '1'], ['b', '1']]);
      await Promise.all([table.close(), second.close()]);
    });

    test('an empty one opens; one that cannot be read says so', async () => {
      const at = await open();
      const table = await followTable(at);
      assert.equal(table.entries().size, 0);
      await table.close();
      const deaf = { ...at.producer, send: () => Promise.reject(new SaccadeError('log_unavailable', 'no')) };
      await assert.rejects(followTable({ ...at, producer: deaf, patienceMs: 10 }), (error: unknown) => error instanceof SaccadeError && error.code === 'log_unavailable');
    });
  });
}
