import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../connectors/ports.ts';
import { systemClock } from '../../processors/runtime/clock.ts';
import { patiently } from '../../processors/runtime/patience.ts';
import { needsKafka } from '../support/components.ts';
import { outgoing, testKafkaLog, testTopic, uniqueName, until } from '../support/kafka.ts';
import { itemOf, passOn, pipelineOn, readAll, step } from '../support/pipeline.ts';

const sources = ['a', 'b', 'c', 'd', 'e', 'f'];

describe('fusing and unfusing under load, on Kafka', { skip: needsKafka, timeout: 200_000 }, () => {
  const logs: Log[] = [];
  after(() => Promise.all(logs.map((log) => log.close())));

  test('restarted fused, apart, fused and apart again: nothing is stranded, nothing is lost, the order of each source holds', async () => {
    const log = testKafkaLog();
    logs.push(log);
    const names = { in: uniqueName('in'), mid: uniqueName('mid'), out: uniqueName('out') };
    await log.ensureTopics([testTopic({ name: names.in }), testTopic({ name: names.mid }), testTopic({ name: names.out, partitions: 1 })]);
    const steps = () => [
      { ...step({ name: 'pre', process: passOn('mid') }, names.in, { mid: names.mid }), group: `${names.in}.pre` },
      // Slower than what comes in, so that each change finds the topic between them full.
      { ...step({ name: 'infer', batch: { records: 1, bytes: 1e9, waitMs: 0, concurrency: 1 }, process: passOn('out', () => 8) }, names.mid, { out: names.out }), group: `${names.in}.infer` },
    ];
    /** A process of its own that runs until `ready`, and what lay unread between its stages when it began. */
    async function life(fuse: boolean, ready: () => Promise<boolean>): Promise<number> {
      const own = testKafkaLog();
      const stranded = await unread();
      const pipeline = await pipelineOn(own, steps(), { fuse: fuse ? [['pre', 'infer']] : [] });
      await pipeline.start();
      await until(`a life ${fuse ? 'fused' : 'apart'}`, ready, 60_000);
      await pipeline.stop(5_000);
      await own.close();
      return stranded;
    }
    const total = async (topic: string): Promise<number> => (await log.endOffsets(topic)).reduce((sum, { offset }) => sum + offset, 0);
    // A broker that has just started is still loading its groups.
    const committed = () => patiently(() => log.committed(`${names.in}.infer`, names.mid), { clock: systemClock, say: () => {} });
    const unread = async (): Promise<number> => (await total(names.mid)) - (await committed()).reduce((sum, { offset }) => sum + offset, 0);

    const producer = await log.producer();
    let n = 0;
    let going = true;
    const load = (async () => {
      for (; going; n += 1) {
        await producer.send(sources.map((source) => outgoing(names.in, source, JSON.stringify({ source, n }))));
        await sleep(25);
      }
    })();
    const more = async (): Promise<() => Promise<boolean>> => {
      const before = await total(names.out);
      return async () => (await total(names.out)) > before + 60;
    };
    await life(false, await more());
    const stranded = await life(true, await more());
    assert.ok(stranded > 0, 'when it was fused first, records lay between the stages');
    assert.equal(await unread(), 0, 'which it has worked off before anything else');
    const bypassed = await total(names.mid);
    await life(false, await more());
    assert.ok((await total(names.mid)) > bypassed, 'apart, the topic is used again');
    await life(true, await more());
    going = false;
    await load;
    await life(false, async () => {
      const done = (await log.committed(`${names.in}.pre`, names.in)).reduce((sum, { offset }) => sum + offset, 0);
      return done >= n * sources.length && (await unread()) === 0;
    });

    const seen = new Map(sources.map((source) => [source, 0]));
    for (const record of await readAll(log, names.out)) {
      const item = itemOf(record);
      const wanted = seen.get(item.source)!;
      // A repeat is one that has come before: a stop may cut off what was sent but not committed.
      if (item.n < wanted) continue;
      assert.equal(item.n, wanted, `${item.source}: item ${item.n} comes before ${wanted}`);
      seen.set(item.source, wanted + 1);
    }
    assert.deepEqual([...seen.values()], sources.map(() => n));
  });
});
