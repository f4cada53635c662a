/** Nothing is accepted while retention could overtake what waits: told by the log, said by /ready, waited out by cameras. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { memoryLog } from '../connectors/memory/log.ts';
import { outbox } from '../processors/camera/outbox.ts';
import { noCounts } from '../processors/camera/run-camera.ts';
import { nearRetention } from '../processors/ingest/near-retention.ts';
import { picture, problemOf, raw, startEdgeUnderTest } from './support/edge.ts';
import { eventually, quiet, topicSpec } from './support/pipeline.ts';

describe('lag near retention', () => {
  const hour = 3_600_000;

  async function setUp({ own = false } = {}) {
    let now = 100 * hour;
    let current = 0;
    const log = memoryLog({ now: () => now });
    await log.ensureTopics([topicSpec('work', 2)]);
    const producer = await log.producer();
    const clock = { now: () => now, sleep: async () => {} };
    const consumer = await log.consumer({ group: 'g', topics: ['work'], from: 'earliest', maxBytes: 1e6, maxBytesPerPartition: 1e6, handlers: { assigned: (generation) => void (current = generation), records() {} } });
    await eventually(() => current > 0, 'assigned');
    return {
      watch: nearRetention({ log, clock, groups: () => [{ stage: 'infer.x', group: 'g', topic: 'work', retentionMs: 6 * hour, own }] }),
      send: (partition: number) => producer.send([{ topic: 'work', key: null, value: Buffer.from('x'), partition }]),
      commit: (partition: number, offset: number) => consumer.commit(current, [{ topic: 'work', partition, offset }]),
      pass: (ms: number) => void (now += ms),
    };
  }

  test('refuses before half of the retention, by the oldest record that is not finished, and says whose', async () => {
    const { watch, send, commit, pass } = await setUp();
    await send(0);
    await send(1);
    await watch.look();
    assert.equal(watch.refusal(), null);
    pass(2.5 * hour);
    await send(1);
    await watch.look();
    assert.equal(watch.refusal(), null, 'not for being a little behind');
    pass(0.3 * hour);
    await watch.look();
    assert.match(watch.refusal() ?? '', /^infer\.x is more than .* behind on work, which keeps records for 6\.0 h\.$/);
    await commit(0, 1);
    await watch.look();
    assert.notEqual(watch.refusal(), null, 'the other partition is as far behind');
    await commit(1, 1);
    await watch.look();
    assert.equal(watch.refusal(), null, 'what is left is young');
    pass(50 * hour);
    await commit(1, 2);
    await watch.look();
    assert.equal(watch.refusal(), null, 'nothing waits, however old the topic is');
  });

  test('it does not flutter: it accepts again only well below', async () => {
    const { watch, send, commit, pass } = await setUp();
    await send(0);
    pass(0.5 * hour);
    await send(0);
    pass(2.3 * hour);
    await watch.look();
    assert.notEqual(watch.refusal(), null);
    await commit(0, 1);
    await watch.look();
    assert.notEqual(watch.refusal(), null, 'the next is 2.3 h old');
    await commit(0, 2);
    await watch.look();
    assert.equal(watch.refusal(), null);
  });

  test("a tenant's own input that is late is told, and shuts nobody out", async () => {
    const { watch, send, commit, pass } = await setUp({ own: true });
    await send(0);
    assert.deepEqual(watch.lateInputs(), {});
    pass(2.8 * hour);
    await watch.look();
    assert.equal(watch.refusal(), null);
    assert.match(watch.lateInputs()['infer.x'] ?? '', /behind on work/);
    await commit(0, 1);
    await watch.look();
    assert.deepEqual(watch.lateInputs(), {});
  });

  test('the edge answers 503 with Retry-After, and /ready says why', async () => {
    let why: string | null = 'infer.x is far behind.';
    const edge = await startEdgeUnderTest({ stages: ['preprocess', 'infer'], refusal: () => why });
    const refused = await fetch(`${edge.url}/v1/infer`, raw(picture('chelsea')));
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
    assert.equal((await problemOf(refused, 503, 'overloaded')).detail, why);
    const ready = await fetch(`${edge.url}/ready`);
    assert.equal(ready.status, 503);
    assert.match(await ready.text(), /infer\.x is far behind/);
    why = null;
    assert.equal((await fetch(`${edge.url}/v1/infer`, raw(picture('chelsea')))).status, 200);
    assert.equal((await fetch(`${edge.url}/ready`)).status, 200);
    await edge.close();
  });

  for (const whenFull of ['wait', 'drop-oldest'] as const) {
    test(`a camera sends nothing meanwhile; full, it is to ${whenFull}`, async () => {
      const log = memoryLog();
      await log.ensureTopics([topicSpec('frames.in', 1)]);
      let why: string | null = 'far behind';
      let told = 0;
      const clock = { now: Date.now, sleep: () => new Promise<void>((resolve) => setImmediate(resolve)) };
      const counts = noCounts();
      const box = outbox({ source: 'cam', producer: await log.producer(), clock, counts, log: { ...quiet, warn: () => void (told += 1) }, limit: 3, whenFull, refusal: () => why });
      const frame = (n: number) => ({ id: `${n}`, sequence: n, image: Buffer.from('x'), capturedAt: 0, deadline: null });
      let room = 0;
      for (let n = 0; n < 5; n += 1) void box.push(frame(n)).then(() => (room += 1));
      await eventually(() => told > 0, 'it says that it waits');
      assert.equal((await log.endOffsets('frames.in'))[0]!.offset, 0);
      assert.equal(counts.dropped, whenFull === 'wait' ? 0 : 2);
      if (whenFull === 'wait') assert.ok(room < 5, 'the source waits');
      why = null;
      await box.flush();
      assert.equal((await log.endOffsets('frames.in'))[0]!.offset, whenFull === 'wait' ? 5 : 3);
      assert.equal(counts.acknowledged + counts.dropped, 5);
      await box.close();
    });
  }
});
