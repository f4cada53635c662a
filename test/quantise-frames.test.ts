/** Pictures to calibrate on, out of the log. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { memoryBlobs } from '../connectors/blobs/memory.ts';
import { SaccadeError } from '../connectors/errors.ts';
import type { Log, Masker } from '../connectors/ports.ts';
import { fileRegistry } from '../connectors/registry/files.ts';
import { frameSource } from '../processors/quantise/frame-source.ts';
import { newestPictures } from '../processors/quantise/recent-frames.ts';
import type { Frame } from '../schemas/records.ts';
import { kafkaBrokers, needsKafka } from './support/components.ts';
import { testKafkaLog, testTopic, uniqueName } from './support/kafka.ts';
import { logWith } from './support/pipeline.ts';

const registry = fileRegistry();
const unmasked: Masker = { mask: async () => null };
const frame = (n: number, more: Partial<Frame> = {}): Frame => ({
  id: `${n}`, tenant: 't', source: `cam-${n % 3}`, sequence: n, captured_at: n, accepted_at: n, content_type: 'image/jpeg', size: 1,
  image: Buffer.from(`picture ${n}`), claim: null, models: ['m'], deadline: null, reply: null, ...more,
});

async function put(log: Log, topic: string, frames: readonly Frame[]): Promise<void> {
  const producer = await log.producer();
  for (const each of frames) await producer.send([{ topic, key: each.source, value: await registry.encode('frames', each), timestamp: Date.now() - 10_000 + each.captured_at }]);
  await producer.close();
}

async function taken(log: Log, topic: string, count: number, { masker = unmasked, blobs = memoryBlobs() } = {}) {
  const said: string[] = [];
  const pictures = await newestPictures(count, frameSource(log, { registry, blobs, masker }, topic), (line) => said.push(line));
  return { pictures: pictures.map(String), said };
}

describe('the newest frames', () => {
  test('of all partitions are taken, the last quarter of them in the places that are held out', async () => {
    const log = await logWith('frames');
    await put(log, 'frames', Array.from({ length: 40 }, (_, n) => frame(n)));
    const { pictures } = await taken(log, 'frames', 12);
    assert.deepEqual(pictures.toSorted(), Array.from({ length: 12 }, (_, i) => `picture ${28 + i}`).toSorted());
    assert.deepEqual(pictures.filter((_, at) => at % 4 === 3), ['picture 37', 'picture 38', 'picture 39']);
    assert.equal((await taken(log, 'frames', 500)).pictures.length, 40);
    await log.close();
  });

  test('come from beside the log too, and through the masker; what is gone is left out and said', async () => {
    const log = await logWith('frames');
    const blobs = memoryBlobs();
    const claim = await blobs.put('large', Buffer.from('large one'));
    await put(log, 'frames', [frame(0), frame(1, { image: null, claim }), frame(2, { image: null, claim: 'gone' }), frame(3, { tenant: 'open' })]);
    const masker: Masker = { mask: async (bytes, tenant) => (tenant === 'open' ? null : { contentType: 'image/jpeg', bytes: Buffer.from(`masked ${bytes}`) }) };
    const { pictures, said } = await taken(log, 'frames', 10, { masker, blobs });
    assert.deepEqual(pictures.toSorted(), ['masked large one', 'masked picture 0', 'picture 3']);
    assert.deepEqual(said, ['1 of 4 frames are left out: blob_missing']);
    await log.close();
  });

  test('are not taken at all where faces are to be covered and cannot be', async () => {
    const log = await logWith('frames');
    await put(log, 'frames', [frame(0)]);
    const masker: Masker = { mask: () => Promise.reject(new SaccadeError('masking_unavailable')) };
    await assert.rejects(taken(log, 'frames', 10, { masker }), { code: 'masking_unavailable' });
    await log.close();
  });

  test('where there are none that is said', async () => {
    const log = await logWith('frames');
    await assert.rejects(taken(log, 'frames', 10), { code: 'bad_request', message: /--frames: there is no frame in/ });
    await log.close();
  });

  test('are read from Kafka', { skip: needsKafka }, async () => {
    assert.ok(kafkaBrokers);
    const log = testKafkaLog();
    const topic = uniqueName('newest');
    await log.ensureTopics([testTopic({ name: topic, partitions: 3 })]);
    await put(log, topic, Array.from({ length: 20 }, (_, n) => frame(n)));
    const { pictures } = await taken(log, topic, 8);
    assert.deepEqual(pictures.toSorted(), Array.from({ length: 8 }, (_, i) => `picture ${12 + i}`).toSorted());
    await log.close();
  });
});
