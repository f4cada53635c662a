import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';
import { encodingOf, improve, type KafkajsEncoding } from '../connectors/kafka/large-records.ts';

interface Request {
  encode(): Promise<{ readonly buffer: Buffer; size(): number }>;
}

/** A copy of kafkajs's protocol that shares nothing with any other. */
function copyOfKafkajs(): { encoding: KafkajsEncoding; produce: (options: object) => Request; wrap: (options: object) => Promise<{ readonly buffer: Buffer }> } {
  const require = createRequire(import.meta.url);
  for (const path of Object.keys(require.cache)) if (path.includes('/kafkajs/')) delete require.cache[path];
  const encoding = encodingOf(require);
  return { encoding, produce: require('kafkajs/src/protocol/requests/produce/v3/request') as never, wrap: require('kafkajs/src/protocol/request') as never };
}

const original = copyOfKafkajs();
const improved = copyOfKafkajs();
improve(improved.encoding);
// Loaded before: it has to take the new function all the same, as the first produce request of a process does.
const improvedProduce = copyAgain();

function copyAgain(): (options: object) => Request {
  const require = createRequire(import.meta.url);
  const path = require.resolve('kafkajs/src/protocol/requests/produce/v3/request');
  delete require.cache[path];
  return require(path) as never;
}

const message = (bytes: number, more: object = {}) => ({ key: Buffer.from('camera-1'), value: randomBytes(bytes), headers: { traceparent: '00-ab', empty: '' }, timestamp: 1_700_000_000_000, ...more });

/** The request's bytes as they would go to the socket. */
async function bytesBy(which: typeof original, produce: (options: object) => Request, compression: number, topicData: object[]): Promise<Buffer> {
  const request = { apiKey: 0, apiVersion: 3, ...produce({ acks: -1, timeout: 1000, compression, topicData }) };
  return (await which.wrap({ correlationId: 7, clientId: 'saccade', request })).buffer;
}

describe('large records leave as the bytes kafkajs would have written', () => {
  const cases: [string, object[]][] = [
    ['one small record', [{ topic: 'a', partitions: [{ partition: 0, messages: [message(10)] }] }]],
    ['a value at the limit of what is copied', [1023, 1024, 1025].map((bytes) => ({ topic: `t${bytes}`, partitions: [{ partition: 1, messages: [message(bytes)] }] }))],
    ['a tensor and small ones around it', [{ topic: 'tensors', partitions: [{ partition: 3, messages: [message(5), message(150_528), message(0), message(70)] }] }]],
    ['several topics and partitions', [
      { topic: 'a', partitions: [{ partition: 0, messages: [message(400_000)] }, { partition: 1, messages: [message(3), message(2_000)] }] },
      { topic: 'b', partitions: [{ partition: 7, messages: [message(600), message(600)] }] },
    ]],
    ['no key, no value, no headers', [{ topic: 'a', partitions: [{ partition: 0, messages: [{ key: null, value: null, timestamp: 1 }, message(4_000, { key: null, headers: {} })] }] }]],
    ['text instead of bytes', [{ topic: 'ä', partitions: [{ partition: 0, messages: [{ key: 'ключ', value: 'x'.repeat(5_000), timestamp: 12 }] }] }]],
    ['a large header', [{ topic: 'a', partitions: [{ partition: 0, messages: [message(20, { headers: { big: randomBytes(3_000), twice: ['one', 'two'] } })] }] }]],
  ];
  for (const [name, topicData] of cases) {
    test(name, async () => {
      const expected = await bytesBy(original, original.produce, 0, topicData);
      const actual = await bytesBy(improved, improvedProduce, 0, topicData);
      assert.ok(actual.equals(expected), `${actual.length} bytes differ from ${expected.length}`);
    });
  }

  test('compressed', async () => {
    const topicData = [{ topic: 'a', partitions: [{ partition: 0, messages: [message(9_000, { value: Buffer.alloc(9_000, 'saccade') }), message(12)] }] }];
    assert.ok((await bytesBy(improved, improvedProduce, 1, topicData)).equals(await bytesBy(original, original.produce, 1, topicData)));
  });

  test('a request asked for its bytes twice gives them twice, and its size before', async () => {
    const encoder = new improved.encoding.Encoder();
    encoder.writeInt32(1).writeBufferInternal(randomBytes(5_000));
    encoder.writeInt32(2);
    assert.equal(encoder.size(), 5_008);
    const first = Buffer.from(encoder.buffer);
    assert.ok(encoder.buffer.equals(first));
    encoder.writeInt32(3);
    assert.equal(encoder.buffer.length, 5_012);
    assert.ok(encoder.buffer.subarray(0, 5_008).equals(first));
  });
});
