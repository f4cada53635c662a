import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { memoryLog } from '../connectors/memory/log.ts';
import { SaccadeError } from '../connectors/errors.ts';
import type { ConsumerOptions, Log, LogConsumer } from '../connectors/ports.ts';
import { followTable } from '../processors/runtime/control-table.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import { needsKafka } from './support/components.ts';
import { readAll } from './support/pipeline.ts';
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

    test('however often it is asked whether all is read, by several at once too, the topic gains one key', async () => {
      const at = await open();
      const table = await followTable(at);
      for (let i = 0; i < 3; i++) {
        await at.producer.send([outgoing(at.topic, 'a', `${i}`)]);
        await Promise.all([table.caughtUp(), table.caughtUp()]);
        assert.deepEqual(text(table.entries()), { a: `${i}` });
      }
      await table.close();
      const keys = (await readAll(log, at.topic)).map(({ key }) => key?.toString() ?? '');
      assert.equal(new Set(keys.filter((key) => key !== 'a')).size, 1, keys.join());
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

/** A log whose topics can be deleted and created anew: another log in its place. Its consumer is told of a new generation, or not. */
function renewable() {
  let now = memoryLog();
  let consumer: LogConsumer;
  let options: ConsumerOptions;
  const log: Log = {
    ...now,
    endOffsets: (topic) => now.endOffsets(topic),
    async consumer(given) {
      options = given;
      consumer = await now.consumer(given);
      return { ...consumer, close: () => consumer.close() };
    },
  };
  return {
    log,
    ensureTopics: (...specs: Parameters<Log['ensureTopics']>) => now.ensureTopics(...specs),
    producer: { send: async (...records: Parameters<Awaited<ReturnType<Log['producer']>>['send']>) => (await now.producer()).send(...records), close: async () => {} },
    async renew(spec: ReturnType<typeof testTopic>, told: boolean, values: readonly string[]) {
      await consumer.close();
      now = memoryLog();
      await now.ensureTopics([spec]);
      await (await now.producer()).send(values.map((key) => outgoing(spec.name, key, 'new')));
      consumer = await now.consumer(told ? options : { ...options, handlers: { ...options.handlers, assigned() {} } });
    },
  };
}

describe('a control table whose topic was deleted and created anew', () => {
  for (const [how, told, keys] of [
    ['empty, told by a new generation', true, []],
    ['with values, told by a new generation', true, ['b', 'x']],
    ['with values, without being told', false, ['b', 'x']],
    ['empty, without being told', false, []],
  ] as const) {
    test(`holds what the new one says: ${how}`, async (t) => {
      const { log, producer, ensureTopics, renew } = renewable();
      const spec = testTopic({ partitions: 1, compacted: true });
      await ensureTopics([spec]);
      await producer.send(['a', 'b', 'c', 'd'].map((key) => outgoing(spec.name, key, 'old')));
      const changes: [string, string | null][] = [];
      const changed = (key: string, value: Buffer | null) => changes.push([key, value?.toString() ?? null]);
      const table = await followTable({ log, producer, clock: systemClock, topic: spec.name, changed, patienceMs: 5_000 });
      t.after(() => table.close());
      await renew(spec, told, keys);
      await table.caughtUp();
      await table.put('y', Buffer.from('new'));
      await table.caughtUp();
      assert.deepEqual(text(table.entries()), Object.fromEntries([...keys, 'y'].map((key) => [key, 'new'])));
      assert.deepEqual(changes.filter(([key]) => key === 'd'), [['d', 'old'], ['d', null]]);
    });
  }
});
