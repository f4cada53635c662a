/** Foreign producers compress as they like: whatever a librdkafka client sends must come out byte for byte. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipCodec } from '../connectors/kafka/codecs/gzip.ts';
import { lz4Codec } from '../connectors/kafka/codecs/lz4.ts';
import { snappyCodec } from '../connectors/kafka/codecs/snappy.ts';
import { tolerant, undecodableHeader } from '../connectors/kafka/codecs/undecodable.ts';
import { zstdCodec } from '../connectors/kafka/codecs/zstd.ts';
import kafkajs from 'kafkajs';
import type { Log } from '../connectors/ports.ts';
import { compress as rawSnappy } from 'snappy';
import { kafkaBrokers, needsKafka } from './support/components.ts';
import { kcat, needsKcat, outgoing, testKafkaLog, testTopic, uniqueName, until, watch } from './support/kafka.ts';

const photo = await readFile(new URL('../media/coffee.jpg', import.meta.url));

describe('batches of another client', { skip: needsKafka || needsKcat }, () => {
  let log: Log;
  let folder: string;
  before(async () => {
    log = testKafkaLog();
    folder = await mkdtemp(join(tmpdir(), 'saccade-codecs-'));
    await writeFile(join(folder, 'photo.jpg'), photo);
  });
  after(async () => {
    await log.close();
    await rm(folder, { recursive: true });
  });

  for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
    test(`a JPEG and fifty small records, compressed with ${codec}`, async () => {
      const spec = testTopic({ partitions: 1 });
      await log.ensureTopics([spec]);
      const to = ['-t', spec.name, '-p', '0', '-z', codec];
      await kcat(['-P', ...to, '-k', 'camera', join(folder, 'photo.jpg')]);
      const lines = Array.from({ length: 50 }, (_, i) => `record ${i} ${'again and '.repeat(i % 5)}again`);
      // Lingering long enough that all fifty are one batch.
      await kcat(['-P', ...to, '-X', 'linger.ms=500', '-K', ':'], lines.map((line, i) => `key-${i}:${line}\n`).join(''));
      // Many blocks of a codec's stream, and a batch that really shrinks.
      const large = Buffer.from(randomBytes(30_000).toString('hex').repeat(12));
      await writeFile(join(folder, 'large'), large);
      await kcat(['-P', ...to, join(folder, 'large')]);

      const member = await watch(log, { group: uniqueName('group'), topics: [spec.name] });
      await until('all arrive', () => member.records.length >= 52);
      const [first, ...rest] = member.records;
      assert.ok(first?.value?.equals(photo));
      assert.equal(String(first?.key), 'camera');
      assert.deepEqual(rest.slice(0, 50).map(({ value }) => String(value)), lines);
      assert.deepEqual(rest.slice(0, 50).map(({ key }) => String(key)), lines.map((_, i) => `key-${i}`));
      assert.ok(rest[50]?.value?.equals(large));
      assert.equal(member.records.length, 52);
      await member.consumer.close();
    });
  }

  test('a batch that unpacks to too much becomes records that say so, and the partition goes on', async () => {
    const spec = testTopic({ partitions: 1 });
    await log.ensureTopics([spec]);
    const producer = await log.producer();
    await producer.send([outgoing(spec.name, 'k', 'before')]);
    // Another client, because ours does not compress. 90 MB of zeros are about 90 KB of gzip.
    const client = new kafkajs.Kafka({ brokers: [...(kafkaBrokers ?? [])], logLevel: kafkajs.logLevel.NOTHING });
    const foreign = client.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
    await foreign.connect();
    const zeros = Buffer.alloc(30 * 1024 * 1024);
    await foreign.send({
      topic: spec.name,
      compression: kafkajs.CompressionTypes.GZIP,
      messages: [{ value: zeros }, { value: zeros }, { value: zeros }],
    });
    await foreign.disconnect();
    await producer.send([outgoing(spec.name, 'k', 'after')]);

    const member = await watch(log, { group: uniqueName('group'), topics: [spec.name] });
    await until('all arrive', () => member.records.length >= 5);
    assert.deepEqual(member.records.map(({ offset }) => offset), [0, 1, 2, 3, 4]);
    assert.deepEqual([member.values()[0], member.values()[4]], ['before', 'after']);
    const standIns = member.records.slice(1, 4);
    for (const { headers } of standIns) assert.match(headers[undecodableHeader] ?? '', /^gzip: /);
    const packed = standIns[0]?.value;
    assert.deepEqual(packed?.subarray(0, 2), Buffer.from([0x1f, 0x8b]), 'the packed bytes, for whoever wants to repair them');
    assert.equal(standIns[1]?.value, null);
    await member.consumer.close();
  });
});

describe('codecs', () => {
  const sample = Buffer.concat([photo, Buffer.alloc(300_000, 'saccade ')]);

  for (const [name, codec] of Object.entries({ gzip: gzipCodec, snappy: snappyCodec, lz4: lz4Codec })) {
    test(`${name} undoes what it does`, async () => {
      const packed = await codec.compress({ buffer: sample });
      assert.ok(packed.length < sample.length);
      assert.ok((await codec.decompress(packed)).equals(sample));
    });
    test(`${name} refuses a batch that unpacks to too much`, async () => {
      await assert.rejects(codec.decompress(await codec.compress({ buffer: Buffer.alloc(70 * 1024 * 1024) })));
    });
  }

  test('snappy reads a raw block, and a stream of several', async () => {
    assert.ok((await snappyCodec.decompress(await rawSnappy(sample))).equals(sample));
    const [a, b] = [sample.subarray(0, 50_000), sample.subarray(50_000)];
    const [first, second] = await Promise.all([a, b].map((buffer) => snappyCodec.compress({ buffer })));
    assert.ok((await snappyCodec.decompress(Buffer.concat([first!, second!.subarray(16)]))).equals(sample));
  });

  test('zstd reads a frame, refuses one that unpacks to too much, and one that is cut off', async () => {
    assert.ok((await zstdCodec.decompress(saccadeFrame)).equals(Buffer.alloc(80_000, 'saccade ')));
    assert.ok((await zstdCodec.decompress(zerosFrame(3))).equals(Buffer.alloc(3 * 128 * 1024)));
    await assert.rejects(zstdCodec.decompress(zerosFrame(70 * 8)));
    await assert.rejects(zstdCodec.decompress(saccadeFrame.subarray(0, 12)));
  });

  test('a broken batch outside a fetched response is an error', async () => {
    const packed = Buffer.from(new Uint8Array(100).buffer).subarray(10);
    await assert.rejects(tolerant('lz4', lz4Codec).decompress(packed));
  });
});

/** 'saccade ' ten thousand times, as the reference implementation packs it. */
const saccadeFrame = Buffer.from('KLUv/QRohQAAQHNhY2NhZGUgAQB1OPPLBSg2KJQ=', 'base64');

/** Zeros, 128 KiB a block, as a Zstandard frame of run-length blocks (RFC 8878): magic, descriptor, window of 1 MiB, 4 bytes a block. */
function zerosFrame(blocks: number): Buffer {
  const runs = Array.from({ length: blocks }, (_, i) => {
    const block = Buffer.alloc(4);
    block.writeUIntLE(((128 * 1024) << 3) | (1 << 1) | (i === blocks - 1 ? 1 : 0), 0, 3);
    return block;
  });
  return Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50]), ...runs]);
}
