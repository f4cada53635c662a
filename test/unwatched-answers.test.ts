/** What listens for the answer to a request that nobody waits for listens for minutes: it must not hold the picture as long. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { memoryBlobs } from '../connectors/blobs/memory.ts';
import { memoryLog } from '../connectors/memory/log.ts';
import { fileRegistry } from '../connectors/registry/files.ts';
import { edgeConfig } from '../processors/edge/config.ts';
import { openInquiries } from '../processors/edge/inquiries.ts';
import { openPaces } from '../processors/edge/paces.ts';
import { recentResults } from '../processors/edge/recent-results.ts';
import { replyDesk } from '../processors/edge/reply-desk.ts';
import { usedKeys } from '../processors/edge/used-keys.ts';
import { systemClock as clock } from '../processors/runtime/clock.ts';
import { topicSpecs } from '../schemas/topics.ts';
import { quiet } from './support/pipeline.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const count = 20;

test('a picture that is in the log is not held by what listens for its answer, nor is its record', async (t) => {
  const log = memoryLog();
  const specs = topicSpecs(['m'], { partitions: 1, replication: 1, minInSync: 1, maxRecordBytes: 1e6 });
  await log.ensureTopics(specs);
  const registry = fileRegistry();
  await registry.prepare(specs);
  const desk = replyDesk({ log, producer: await log.producer(), registry, clock, logger: quiet });
  await desk.open();
  // What is listened for would keep the process alive for minutes.
  t.after(() => desk.close(0));
  const held: { readonly what: string; readonly ref: WeakRef<object> }[] = [];
  // A log that keeps nothing: here no stage reads it.
  const producer = {
    async send(records: readonly { readonly value: Buffer | null }[]) {
      for (const { value } of records) if (value) held.push({ what: 'record', ref: new WeakRef(value) });
    },
    async close() {},
  };
  const config = edgeConfig.parse({});
  const rules = { maxImageBytes: 1e6, claimCheckBytes: 1e6, models: ['m'], blobs: memoryBlobs() };
  const inquiries = openInquiries({ rules, producer, registry, desk, clock, config, paces: openPaces(clock, config), quota: null, results: recentResults(clock), keys: usedKeys([], 60_000) });
  const jpeg = readFileSync(new URL('../media/coffee.jpg', import.meta.url));
  for (let i = 0; i < count; i++) {
    const image = Buffer.concat([jpeg, randomBytes(8)]);
    held.push({ what: 'picture', ref: new WeakRef(image) });
    const [asked] = await inquiries.ask([{ image, model: 'm', key: null }], { tenant: 'acme', id: 'key', traceparent: '', startedAt: clock.now(), waits: false });
    assert.ok(asked && 'answer' in asked);
    asked.answer.catch(() => {});
  }
  // Weak references hold what they name until the turn in which they were made is over.
  await sleep(10);
  collect();
  const left = held.filter(({ ref }) => ref.deref() !== undefined);
  assert.equal(held.length, 2 * count);
  // The last may still lie in a register.
  assert.ok(left.length <= 2, `${left.length} of ${held.length} are held: ${left.map(({ what }) => what).join()}`);
});
