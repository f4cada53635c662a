/** What every log does, whatever it is made of. Each test uses topics and groups of its own. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Log, LogProducer, OutgoingRecord, TopicSpec } from '../../connectors/ports.ts';
import { outgoing, testTopic, uniqueName, until, watch } from '../support/kafka.ts';
import { groupContract } from './log-groups.ts';

export interface LogContext {
  readonly log: Log;
  readonly producer: LogProducer;
  topic(overrides?: Partial<TopicSpec>): Promise<TopicSpec>;
  send(...records: OutgoingRecord[]): Promise<void>;
}

const coded = (code: string) => (error: unknown) => error instanceof SaccadeError && error.code === code;

export function logContract(name: string, makeLog: () => Log, skip: string | false): void {
  describe(name, { skip }, () => {
    let log: Log;
    let producer: LogProducer;
    const context: LogContext = {
      get log() {
        return log;
      },
      get producer() {
        return producer;
      },
      async topic(overrides) {
        const spec = testTopic(overrides);
        await log.ensureTopics([spec]);
        return spec;
      },
      send: (...records) => producer.send(records),
    };
    const { topic, send } = context;

    before(async () => {
      log = makeLog();
      producer = await log.producer();
    });
    after(() => log.close());

    test('keeps the order of a partition, over several sends', async () => {
      const { name: at } = await topic();
      const all = Array.from({ length: 300 }, (_, i) => outgoing(at, `key-${i % 7}`, `${i}`));
      for (let i = 0; i < all.length; i += 60) await producer.send(all.slice(i, i + 60));
      const member = await watch(log, { group: uniqueName('group'), topics: [at] });
      await until('all records arrive', () => member.records.length >= all.length);
      assert.equal(member.records.length, all.length);
      for (let key = 0; key < 7; key += 1) {
        const mine = member.records.filter((record) => String(record.key) === `key-${key}`);
        assert.deepEqual(mine.map(({ value }) => Number(value)), all.map((_, i) => i).filter((i) => i % 7 === key));
        assert.equal(new Set(mine.map(({ partition }) => partition)).size, 1, 'a key stays in one partition');
      }
      for (const { partition } of member.partitions()) {
        const offsets = member.records.filter((record) => record.partition === partition).map(({ offset }) => offset);
        assert.deepEqual(offsets, offsets.map((_, i) => i), 'offsets count up from 0 without a gap');
      }
      await member.consumer.close();
    });

    test('reads one record by its place, wherever it lies in what was sent together', async () => {
      const { name: at } = await topic({ partitions: 2 });
      await producer.send(Array.from({ length: 9 }, (_, i) => outgoing(at, 'k', `${i}`, { partition: 1, headers: { n: `${i}` }, timestamp: 1_700_000_000_000 + i })));
      await producer.send([outgoing(at, 'k', '9', { partition: 1 })]);
      const found = await Promise.all([0, 4, 9].map((offset) => log.read({ topic: at, partition: 1, offset })));
      assert.deepEqual(found.map((record) => [record?.topic, record?.partition, record?.offset, String(record?.value)]), [[at, 1, 0, '0'], [at, 1, 4, '4'], [at, 1, 9, '9']]);
      assert.deepEqual([found[1]!.key?.toString(), found[1]!.headers, found[1]!.timestamp], ['k', { n: '4' }, 1_700_000_000_004]);
      for (const place of [{ topic: at, partition: 1, offset: 10 }, { topic: at, partition: 1, offset: 11 }, { topic: at, partition: 0, offset: 0 }, { topic: at, partition: 7, offset: 0 }, { topic: uniqueName('nowhere'), partition: 0, offset: 0 }]) {
        assert.equal(await log.read(place), null, JSON.stringify(place));
      }
    });

    test('carries headers, timestamp, null key and null value', async () => {
      const { name: at } = await topic({ partitions: 1 });
      await send(outgoing(at, null, null, { headers: { traceparent: '00-ab', größe: 'ä€' }, timestamp: 1_700_000_000_123 }));
      await send(outgoing(at, 'k', ''));
      const member = await watch(log, { group: uniqueName('group'), topics: [at] });
      await until('both arrive', () => member.records.length >= 2);
      const [first, second] = member.records;
      assert.deepEqual(first, {
        topic: at,
        partition: 0,
        offset: 0,
        timestamp: 1_700_000_000_123,
        key: null,
        value: null,
        headers: { traceparent: '00-ab', größe: 'ä€' },
      });
      assert.equal(String(second?.key), 'k');
      assert.equal(second?.value?.length, 0);
      assert.ok((second?.timestamp ?? 0) > 1_700_000_000_123);
      await member.consumer.close();
    });

    test('puts a record where it says', async () => {
      const { name: at } = await topic();
      await send(outgoing(at, 'same', 'a', { partition: 3 }), outgoing(at, 'same', 'b', { partition: 1 }));
      const ends = await log.endOffsets(at);
      assert.deepEqual(ends.toSorted((a, b) => a.partition - b.partition).map(({ offset }) => offset), [0, 1, 0, 1]);
      assert.equal(await log.partitions(at), 4);
    });

    test('spreads records without a key', async () => {
      const { name: at } = await topic();
      await producer.send(Array.from({ length: 40 }, (_, i) => outgoing(at, null, `${i}`)));
      for (const { offset } of await log.endOffsets(at)) assert.equal(offset, 10);
    });

    test('takes a record of 8 MB and says clearly that a larger one is too large', async () => {
      const spec = await topic({ partitions: 1 });
      const key = 'big';
      const value = Buffer.alloc(spec.maxRecordBytes - key.length, 7);
      await send(outgoing(spec.name, key, value, { headers: { reason: 'r'.repeat(4096) } }));
      const over = outgoing(spec.name, key, Buffer.alloc(spec.maxRecordBytes + 128 * 1024));
      await assert.rejects(send(over), (error) => coded('payload_too_large')(error) && !(error as SaccadeError).retryable);
      await send(outgoing(spec.name, key, 'next'));
      const member = await watch(log, { group: uniqueName('group'), topics: [spec.name], maxBytes: 1024 * 1024 });
      await until('both arrive', () => member.records.length >= 2);
      assert.ok(member.records[0]?.value?.equals(value), 'byte for byte, though larger than the fetch limit');
      assert.equal(member.values()[1], 'next');
      await member.consumer.close();
    });

    test('sends records in one go that are only together above the record limit', async () => {
      const spec = await topic({ partitions: 1, maxRecordBytes: 256 * 1024 });
      const values = Array.from({ length: 9 }, (_, i) => Buffer.alloc(100 * 1024, i));
      await producer.send(values.map((value) => outgoing(spec.name, 'k', value)));
      const member = await watch(log, { group: uniqueName('group'), topics: [spec.name] });
      await until('all arrive', () => member.records.length >= 9);
      assert.deepEqual(member.records.map(({ value }) => value?.[0]), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
      await member.consumer.close();
    });

    test('creates topics once, however often and from wherever it is asked', async () => {
      const specs = [testTopic({ partitions: 3 }), testTopic({ partitions: 5 })];
      const others = [makeLog(), makeLog()];
      const [shared] = specs;
      await Promise.all([log, ...(log.durable ? others : [log])].map((each) => each.ensureTopics(specs)));
      await log.ensureTopics([{ ...shared!, partitions: 9 }, testTopic()]);
      assert.deepEqual(await Promise.all(specs.map((spec) => log.partitions(spec.name))), [3, 5], 'one that exists is not altered');
      await send(...specs.map((spec) => outgoing(spec.name, 'k', 'v')));
      await Promise.all(others.map((other) => other.close()));
    });

    test('knows no topic that was not created', async () => {
      await assert.rejects(log.partitions(uniqueName('nowhere')), coded('log_unavailable'));
    });

    test('tells its cluster by a lasting name', async () => {
      const id = await log.clusterId();
      assert.ok(id.length > 0);
      assert.equal(await log.clusterId(), id);
    });

    test('refuses to send once the producer is closed', async () => {
      const { name: at } = await topic();
      const closing = await log.producer();
      await closing.send([outgoing(at, 'k', 'v')]);
      await closing.close();
      await assert.rejects(closing.send([outgoing(at, 'k', 'v')]), coded('log_unavailable'));
    });

    test('never delivers from inside a call of its owner', async () => {
      const { name: at } = await topic({ partitions: 1 });
      let inside = false;
      let reentrant = 0;
      const seen: string[] = [];
      const consumer = await log.consumer({
        group: uniqueName('group'),
        topics: [at],
        from: 'earliest',
        maxBytes: 1024 * 1024,
        maxBytesPerPartition: 1024 * 1024,
        handlers: {
          assigned() {},
          records(_generation, _source, records) {
            if (inside) reentrant += 1;
            seen.push(...records.map(({ value }) => String(value)));
          },
        },
      });
      const during = <T>(call: () => T): T => {
        inside = true;
        const result = call();
        inside = false;
        return result;
      };
      for (let i = 0; i < 20; i += 1) {
        const sent = during(() => send(outgoing(at, 'k', `${i}`)));
        during(() => consumer.pause([{ topic: at, partition: 0 }]));
        during(() => consumer.resume([{ topic: at, partition: 0 }]));
        await sent;
      }
      await until('all arrive', () => seen.length >= 20);
      assert.equal(reentrant, 0);
      await sleep(0);
      await consumer.close();
    });

    groupContract(context);
  });
}
