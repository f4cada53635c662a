import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import sharp from 'sharp';
import { memoryBlobs } from '../connectors/blobs/memory.ts';
import { SaccadeError } from '../connectors/errors.ts';
import { kafkaAdmin } from '../connectors/kafka/admin.ts';
import type { Log, LogRecord, Masker, OutgoingRecord } from '../connectors/ports.ts';
import { fileRegistry } from '../connectors/registry/files.ts';
import { readArguments } from '../processors/dead-letters/arguments.ts';
import { original } from '../processors/dead-letters/letter.ts';
import { dlqCommand } from '../processors/dead-letters/main.ts';
import { withPayload } from '../processors/dead-letters/payload.ts';
import { pictureOf } from '../processors/dead-letters/picture.ts';
import { readSpans } from '../processors/dead-letters/read-spans.ts';
import { replay } from '../processors/dead-letters/replay.ts';
import { findLetters } from '../processors/dead-letters/find-letters.ts';
import type { World } from '../processors/dead-letters/world.ts';
import { ingestStage } from '../processors/ingest/ingest.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import { deadLetter } from '../processors/runtime/dead-letter.ts';
import { exampleRecord } from '../schemas/examples.ts';
import { asItIs } from '../schemas/model-control.ts';
import { handledTopic, modelsTopic, tensorTopic, topicSpecs } from '../schemas/topics.ts';
import { kafkaBrokers, needsKafka } from './support/components.ts';
import { silent, testKafkaLog, testTopic, uniqueName } from './support/kafka.ts';

const coffee = await readFile(new URL('../media/coffee.jpg', import.meta.url));
const error = (code: 'unknown_model' | 'undecodable_image', detail = '') => new SaccadeError(code, detail);

const record = (overrides: Partial<LogRecord> = {}): LogRecord => ({
  topic: 'frames.in', partition: 2, offset: 7, timestamp: 1_700_000_000_000, key: Buffer.from('gate'), value: coffee, headers: { traceparent: 'x', models: 'nanodet' }, ...overrides,
});

/** What the runtime would have put into the log. */
function letterOf(from: LogRecord, code: Parameters<typeof error>[0] = 'unknown_model', place: Partial<LogRecord> = {}): LogRecord {
  const { topic, value, key, headers } = deadLetter(from, error(code, 'said so'), 'ingest', 1, 1_700_000_001_000);
  return { topic, partition: 0, offset: 0, timestamp: 1_700_000_001_000, key: key as Buffer | null, value, headers: headers ?? {}, ...place };
}

describe('a dead letter becomes the record it was', () => {
  test('key, bytes, headers and partition as they were, without the reason', () => {
    const sent = original(letterOf(record({ topic: 'frames' })), 4);
    assert.deepEqual(sent, { topic: 'frames', key: Buffer.from('gate'), value: coffee, headers: { traceparent: 'x', models: 'nanodet', 'saccade-replays': '1' }, partition: 2 });
  });

  test('a partition that is gone is left to the key', () => assert.equal(original(letterOf(record()), 2).partition, undefined));

  test('it goes to the topic its place names, whatever a header says', () => {
    const forged = letterOf(record());
    assert.equal(original({ ...forged, headers: { ...forged.headers, 'saccade-topic': 'predictions' } }, 4).topic, 'frames.in');
  });

  test('replays are counted over several lives', () => {
    const second = letterOf({ ...record(), ...original(letterOf(record()), 4) } as LogRecord);
    assert.equal(original(second, 4).headers?.['saccade-replays'], '2');
  });

  test('a plain image without an id is the same frame in each of its replays, and keeps its time', async () => {
    const rules = { maxImageBytes: 1e7, claimCheckBytes: 1e7, models: ['nanodet'], blobs: memoryBlobs() };
    const stage = ingestStage({ rules, tenant: 'acme' });
    const ingested = async (sent: OutgoingRecord, offset: number) => {
      const [outcome] = await stage.process(
        [{ value: sent.value!, key: 'gate', headers: sent.headers!, origin: { cluster: 'c', topic: 'frames.in', partition: 2, offset, timestamp: Date.now() }, bytes: 1, receivedAt: 0, attempt: 1 }],
        new AbortController().signal,
      );
      assert.equal(outcome?.kind, 'emit');
      return (outcome as unknown as { records: { value: { id: string; captured_at: number } }[] }).records[0]!.value;
    };
    const first = await ingested(original(letterOf(record()), 4), 100);
    const again = await ingested(original(letterOf(record()), 4), 101);
    const other = await ingested(original(letterOf(record({ offset: 8 })), 4), 102);
    assert.equal(again.id, first.id);
    assert.notEqual(other.id, first.id);
    assert.equal(first.captured_at, 1_700_000_000_000);
    const ownId = original(letterOf(record({ headers: { id: 'mine', captured_at: '5' } })), 4);
    assert.deepEqual(ownId.headers, { id: 'mine', captured_at: '5', 'saccade-replays': '1' });
  });
});

const unmasked: Masker = { mask: async () => null };

describe('the picture in a dead letter', () => {
  const registry = fileRegistry();
  const blobs = memoryBlobs();
  const means = { registry, blobs, masker: unmasked, tenantOf: () => 'own' };
  const of = async (topic: string, value: Buffer | null, masker = unmasked) => pictureOf(letterOf(record({ topic, value })), { ...means, masker });
  const frame = { id: '1', tenant: 't', source: 's', sequence: null, captured_at: 1, accepted_at: 1, content_type: 'image/jpeg', size: 1, image: null, claim: null, models: ['m'], deadline: null, reply: null };

  test('plain bytes, FrameIn, Frame and claim check are the image itself', async () => {
    const input = { image: coffee, id: null, sequence: null, captured_at: null, models: null, deadline: null };
    const claim = await blobs.put('coffee', coffee);
    const values = [
      ['frames.in', coffee],
      ['frames.in', await registry.encode('frames.in', input)],
      ['frames', await registry.encode('frames', { ...frame, image: coffee })],
      ['frames', await registry.encode('frames', { ...frame, claim })],
    ] as const;
    for (const [topic, value] of values) {
      const picture = await of(topic, value);
      assert.ok('bytes' in picture, JSON.stringify(picture));
      assert.equal(picture.extension, 'jpg');
      assert.ok(picture.bytes.equals(coffee));
    }
  });

  test('a tensor is drawn', async () => {
    const tensor = exampleRecord('tensor') as unknown as { width: number; height: number; pixels: Buffer };
    const whole = { ...tensor, width: 4, height: 2, pixels: Buffer.alloc(24, 200) };
    const picture = await of('tensors.nanodet', await registry.encode('tensors.nanodet', whole));
    assert.ok('bytes' in picture, JSON.stringify(picture));
    const { width, height } = await sharp(picture.bytes).metadata();
    assert.deepEqual([width, height, picture.extension], [4, 2, 'png']);
  });

  test('goes through the masker, as its tenant\'s', async () => {
    const tenants: (string | null)[] = [];
    const masker: Masker = {
      async mask(bytes, tenant) {
        tenants.push(tenant);
        return { contentType: 'image/png', bytes: await sharp(bytes).resize(8, 8).png().toBuffer() };
      },
    };
    const tensor = exampleRecord('tensor') as unknown as { tenant: string };
    const values = [
      ['frames.in', coffee],
      ['frames', await registry.encode('frames', { ...frame, image: coffee })],
      ['tensors.nanodet', await registry.encode('tensors.nanodet', { ...tensor, width: 4, height: 2, pixels: Buffer.alloc(24, 200) })],
      ['somebody-elses', coffee],
    ] as const;
    for (const [topic, value] of values) {
      const picture = await of(topic, value, masker);
      assert.ok('bytes' in picture && picture.extension === 'png' && /8×8, its faces covered/.test(picture.note), topic);
    }
    assert.deepEqual(tenants, ['own', 't', tensor.tenant, null]);
    const failing: Masker = { mask: () => Promise.reject(new SaccadeError('masking_unavailable', 'no model')) };
    const none = await of('frames.in', coffee, failing);
    assert.ok('none' in none && /cannot be covered.*no model/.test(none.none));
  });

  test('a sentence says why there is none', async () => {
    const none = async (topic: string, value: Buffer | null) => {
      const picture = await of(topic, value);
      assert.ok('none' in picture, JSON.stringify(Object.keys(picture)));
      return picture.none;
    };
    assert.match(await none('frames', null), /no payload/);
    assert.match(await none('frames', Buffer.from('nonsense')), /could not be decoded/);
    assert.match(await none('frames', await registry.encode('frames', { ...frame, claim: 'no-such-blob' })), /not in the blob store/);
    assert.match(await none('predictions', await registry.encode('predictions', exampleRecord('prediction'))), /no picture/);
    const odd = await of('frames.in', Buffer.from('no image'));
    assert.ok('bytes' in odd && odd.extension === 'bin' && odd.note.includes('6e6f20696d616765'));
  });
});

describe('the bytes of a dead letter', () => {
  const blobs = memoryBlobs();
  const headers = { 'saccade-partition': '2', 'saccade-offset': '7', 'saccade-timestamp': '5' };
  const without = (more: Record<string, string>): LogRecord => record({ topic: 'frames.in.dlq', value: null, headers: { ...headers, ...more } });

  test("come from the blob store by the runtime's own claim, and by no other", async () => {
    const own = await blobs.put('dead-letter-frames.in-2-7-5', coffee);
    const others = await blobs.put('somebody-elses', coffee);
    assert.ok((await withPayload(without({ 'saccade-claim': own }), blobs)).value?.equals(coffee));
    assert.equal((await withPayload(without({ 'saccade-claim': others }), blobs)).value, null);
    const here = record({ topic: 'frames.in.dlq', headers: { ...headers, 'saccade-claim': own }, value: Buffer.from('here') });
    assert.equal((await withPayload(here, blobs)).value?.toString(), 'here');
  });

  test('which fitted nowhere are said to be lost', async () => {
    const lost = without({ 'saccade-sha256': 'abc', 'saccade-bytes': '123456' });
    await assert.rejects(withPayload(lost, blobs), { code: 'payload_too_large', message: /123456 bytes.*abc/ });
    const picture = await pictureOf(lost, { registry: fileRegistry(), blobs, masker: unmasked, tenantOf: () => 'own' });
    assert.ok('none' in picture && picture.none.includes('123456'));
  });
});

describe('the command line', () => {
  const now = Date.parse('2026-01-02T00:00:00Z');
  test('reads what is asked', () => {
    const list = readArguments(['list', '--topic', 'frames', '--since', '2h'], now);
    assert.ok(list.name === 'list');
    assert.deepEqual([list.selection.topics, list.selection.since, list.limit], [['frames.dlq'], now - 7_200_000, 50]);
    const replayed = readArguments(['replay', '--id', 'tensors.a.b/3@17', '--rate', '5/s'], now);
    assert.ok(replayed.name === 'replay');
    assert.deepEqual([replayed.selection.ids[0]?.id, replayed.rate], ['tensors.a.b.dlq/3@17', 5]);
  });

  const wrong: [string[], RegExp][] = [
    [[], /list, show, replay or discard/],
    [['lst'], /'lst'/],
    [['list', '--colour'], /--colour/],
    [['list', '--yes'], /--yes is no option of list/],
    [['list', '--limit', '0'], /--limit is '0'/],
    [['list', '--since', 'yesterday'], /--since is 'yesterday'/],
    [['list', 'frames'], /'frames' is not expected/],
    [['show'], /ID/],
    [['show', 'frames'], /ID is 'frames'/],
    [['replay'], /--all, --id/],
    [['replay', '--all', '--code', 'x'], /--all and --code/],
    [['replay', '--all', '--rate', 'fast'], /--rate is 'fast'/],
    [['discard', '--id', '17'], /--id is '17'/],
  ];
  for (const [argv, says] of wrong) {
    test(`refuses: ${argv.join(' ') || 'nothing'}`, async () => {
      const { code, err, out } = await run(argv, {});
      assert.deepEqual([code, out], [2, '']);
      assert.match(err, says);
    });
  }

  test('explains itself, and says when there is no log', async () => {
    const asked = await run(['--help'], {});
    assert.equal(asked.code, 0);
    for (const word of ['list', 'show', 'replay', 'discard', '--dry-run']) assert.ok(asked.out.includes(word));
    const empty = await mkdtemp(join(tmpdir(), 'saccade-dlq-'));
    const nobody = await run(['list'], { SACCADE_DATA: empty });
    await rm(empty, { recursive: true });
    assert.equal(nobody.code, 3);
    assert.match(nobody.err, /npm start/);
    assert.equal((await run(['list'], { KAFKA_BROKERS: '127.0.0.1:9' })).code, 3);
  });
});

/** What a person would see. */
async function run(argv: string[], env: NodeJS.ProcessEnv = { KAFKA_BROKERS: kafkaBrokers?.join(',') ?? '' }, stopping = new AbortController().signal) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const code = await dlqCommand(argv, env, stopping, { stdout, stderr });
  stdout.end();
  stderr.end();
  return { code, out: await text(stdout), err: await text(stderr) };
}

describe('dead letters on Kafka', { skip: needsKafka, timeout: 180_000 }, () => {
  let log: Log;
  let world: World;
  let survey: ReturnType<typeof kafkaAdmin>;
  before(() => {
    log = testKafkaLog();
    survey = kafkaAdmin({ brokers: kafkaBrokers ?? [], clientId: 'saccade-test', log: silent });
    const handledSpec = topicSpecs([], { partitions: 2, replication: 1, minInSync: 1, maxRecordBytes: 1e6 }).find(({ name }) => name === handledTopic)!;
    world = { log, survey, registry: fileRegistry(), blobs: memoryBlobs(), masker: unmasked, tenantOf: () => 'default', unloaded: async () => new Set(), clock: systemClock, handledSpec, stopping: new AbortController().signal };
  });
  after(async () => {
    await survey?.close();
    await log?.close();
  });

  /** A topic of its own with these dead letters. */
  async function died(letters: readonly { key: string | null; code?: Parameters<typeof error>[0]; value?: Buffer; partition?: number }[]): Promise<string> {
    const home = uniqueName('dlq');
    await log.ensureTopics([testTopic({ name: home }), testTopic({ name: `${home}.dlq` })]);
    await die(home, letters);
    return home;
  }
  async function die(home: string, letters: Parameters<typeof died>[0]): Promise<void> {
    const producer = await log.producer();
    for (const [offset, { key, code = 'unknown_model', value = Buffer.from(`value ${offset}`), partition = 1 }] of letters.entries()) {
      await producer.send([deadLetter(record({ topic: home, offset, partition, key: key === null ? null : Buffer.from(key), value }), error(code), 'ingest', 1, Date.now())]);
    }
    await producer.close();
  }
  async function everything(topic: string): Promise<LogRecord[]> {
    const records: LogRecord[] = [];
    await readSpans(world, await survey.bounds(topic), (each) => void records.push(each));
    return records;
  }
  const listed = async (home: string, ...more: string[]) =>
    (await run(['list', '--topic', home, '--json', ...more])).out.split('\n').filter(Boolean).map((line) => JSON.parse(line) as { id: string; source: string | null; code: string; replays: number; handled: { action: string } | null });

  test('list: newest first, filtered, limited, and a sentence for nothing', async () => {
    const home = await died([{ key: 'a' }, { key: 'b\u001b[31m', code: 'undecodable_image' }, { key: null }]);
    assert.deepEqual((await listed(home)).map(({ source }) => source), [null, 'b\u001b[31m', 'a']);
    const { out, code } = await run(['list', '--topic', home]);
    assert.equal(code, 0);
    assert.match(out, /^id +when +source +stage +code +detail\n/);
    assert.match(out, /\.dlq\/\d@\d+ +20.*Z +\(no key\) +ingest +unknown_model +No such model/);
    assert.ok(!out.includes('\u001b') && out.includes('b·[31m'), 'an escape sequence does not reach the terminal');
    assert.deepEqual((await listed(home, '--code', 'undecodable_image')).length, 1);
    assert.deepEqual((await listed(home, '--source', 'a')).map(({ source }) => source), ['a']);
    assert.deepEqual(await listed(home, '--since', '2100-01-01'), []);
    const limited = await run(['list', '--topic', home, '--limit', '1']);
    assert.equal(limited.out.trim().split('\n').length, 2);
    assert.match(limited.err, /2 older ones not shown/);
    const nothing = await run(['list', '--topic', home, '--code', 'internal']);
    assert.deepEqual([nothing.code, nothing.out], [0, 'No dead letters match.\n']);
    assert.ok((await run(['list', '--limit', '100000'])).out.includes(`${home}.dlq/`), 'all topics are looked at');
    const missing = await run(['list', '--topic', `${home}x`]);
    assert.equal(missing.code, 1);
    assert.match(missing.err, new RegExp(`${home}x.dlq`));
  });

  test('show: reason, headers and the picture in a file', async () => {
    const home = await died([{ key: 'a', value: coffee }]);
    const [letter] = await listed(home);
    const folder = await mkdtemp(join(tmpdir(), 'saccade-dlq-'));
    const shown = await run(['show', letter!.id, '--out', join(folder, 'it.jpg')]);
    assert.equal(shown.code, 0, shown.err);
    for (const part of ['unknown_model', 'ingest', `${coffee.length} bytes`, 'saccade-error-code: unknown_model', 'models: nanodet', `${home}/1@0`, 'it.jpg']) assert.ok(shown.out.includes(part), part);
    assert.ok((await readFile(join(folder, 'it.jpg'))).equals(coffee));
    const nowhere = await run(['show', letter!.id, '--out', join(folder, 'no', 'it.jpg')]);
    assert.equal(nowhere.code, 2);
    assert.match(nowhere.err, /--out/);
    await rm(folder, { recursive: true });
    const none = await run(['show', `${home}/3@99`]);
    assert.equal(none.code, 1);
    assert.match(none.err, /no dead letter .*3@99/);
  });

  test('replay: the original goes back once, however often it is asked for', async () => {
    const home = await died([{ key: 'a' }, { key: 'b', code: 'undecodable_image' }, { key: 'a' }]);
    const dry = await run(['replay', '--topic', home, '--code', 'unknown_model', '--dry-run']);
    assert.deepEqual([dry.code, dry.out], [0, `2 dead letters would be replayed:\n       2  unknown_model → ${home}\n`]);
    assert.deepEqual(await everything(home), []);

    const first = await run(['replay', '--topic', home, '--code', 'unknown_model', '--rate', '100']);
    assert.deepEqual(first, { code: 0, out: '2 of 2 dead letters replayed.\n', err: '' });
    const again = await run(['replay', '--topic', home, '--code', 'unknown_model']);
    assert.equal(again.code, 1);
    assert.match(again.err, /2 dead letters have been handled already/);

    const back = await everything(home);
    assert.deepEqual(back.map(({ partition, key, value, headers }) => [partition, key?.toString(), value?.toString(), headers]), [
      [1, 'a', 'value 0', { traceparent: 'x', models: 'nanodet', 'saccade-replays': '1' }],
      [1, 'a', 'value 2', { traceparent: 'x', models: 'nanodet', 'saccade-replays': '1' }],
    ]);
    assert.deepEqual((await listed(home)).map(({ source }) => source), ['b']);
    assert.deepEqual((await listed(home, '--handled')).map(({ handled }) => handled?.action ?? null), ['replayed', null, 'replayed']);

    // It dies of the same again.
    const producer = await log.producer();
    await producer.send([deadLetter(back[0]!, error('unknown_model'), 'ingest', 1, Date.now())]);
    await producer.close();
    assert.deepEqual((await listed(home)).map(({ source, replays }) => [source, replays]), [['a', 1], ['b', 0]]);
    assert.match((await run(['list', '--topic', home])).out, /\[replayed 1×\]/);
  });

  test('replay and discard by id; discard asks for --yes', async () => {
    const home = await died([{ key: 'a' }, { key: 'b' }, { key: 'c' }]);
    const [c, b, a] = await listed(home);
    assert.equal((await run(['replay', '--id', a!.id, '--id', c!.id])).code, 0);
    assert.deepEqual((await everything(home)).map(({ key }) => key?.toString()).toSorted(), ['a', 'c']);
    const unsure = await run(['discard', '--id', b!.id]);
    assert.equal(unsure.code, 2);
    assert.match(unsure.err, /--yes/);
    assert.equal((await listed(home)).length, 1);
    assert.equal((await run(['discard', '--id', b!.id, '--yes'])).code, 0);
    assert.deepEqual(await listed(home), []);
    assert.equal((await everything(home)).length, 2, 'discarding sends nothing');
    assert.equal((await run(['replay', '--topic', home])).code, 1);
  });

  test('letters of 4 MB in several partitions go through the bounded reader, in order', async () => {
    const home = await died([]);
    const value = (n: number): Buffer => Buffer.alloc(4 * 1024 * 1024, n);
    await die(home, Array.from({ length: 12 }, (_, n) => ({ key: `k${n % 3}`, value: value(n), partition: n % 3 })));
    assert.equal((await run(['replay', '--topic', home])).out, '12 of 12 dead letters replayed.\n');
    const back = await everything(home);
    for (const partition of [0, 1, 2]) {
      const order = back.filter((each) => each.partition === partition).map((each) => each.value![0]);
      assert.deepEqual(order, [0, 3, 6, 9].map((n) => n + partition));
    }
  });

  test('told to stop, it finishes and marks what is under way, and the next replay sends the rest only', async () => {
    const home = await died(Array.from({ length: 6 }, () => ({ key: 'a' })));
    const selection = { topics: [`${home}.dlq`], codes: [], sources: [], ids: [], since: null, handled: false };
    await log.ensureTopics([world.handledSpec]);
    const stop = new AbortController();
    const { letters } = await findLetters(world, selection);
    const halted = await replay({ ...world, stopping: stop.signal }, letters, 1000 / 100, (done) => done === 2 && stop.abort());
    assert.deepEqual([halted.done, halted.left, halted.ended], [2, 4, null]);
    const rest = await findLetters(world, selection);
    assert.deepEqual([rest.letters.length, rest.handled], [4, 2]);
    assert.equal((await replay(world, rest.letters, null, () => {})).done, 4);
    assert.deepEqual((await everything(home)).map(({ value }) => value?.toString()), [0, 1, 2, 3, 4, 5].map((n) => `value ${n}`));
  });

  test('one that cannot be sent does not hold up its neighbours, and stays unhandled', async () => {
    const home = await died([{ key: 'a' }]);
    const producer = await log.producer();
    await producer.send([{ topic: `${home}.dlq`, key: 'lost', value: null, headers: { 'saccade-error-code': 'payload_too_large', 'saccade-sha256': 'abc', 'saccade-bytes': '99' } }]);
    await producer.close();
    await die(home, [{ key: 'b' }]);
    const { code, out, err } = await run(['replay', '--topic', home]);
    assert.deepEqual([code, out], [1, '2 of 3 dead letters replayed.\n']);
    assert.match(err, /was refused: .*99 bytes/);
    assert.deepEqual((await listed(home)).map(({ source }) => source), ['lost']);
  });

  test('tensors of a model that was unloaded are not sent where nobody reads them', async (t) => {
    const model = uniqueName('unloaded');
    const home = tensorTopic(model);
    await log.ensureTopics([testTopic({ name: home }), testTopic({ name: `${home}.dlq` }), topicSpecs([], { partitions: 2, replication: 1, minInSync: 1, maxRecordBytes: 1e6 }).find(({ name }) => name === modelsTopic)!]);
    await die(home, [{ key: 'a' }]);
    const producer = await log.producer();
    t.after(() => producer.close());
    const told = (state: 'gone' | 'served') => producer.send([{ topic: modelsTopic, key: model, value: Buffer.from(JSON.stringify({ ...asItIs, state })), partition: 0 }]);
    await told('gone');
    const { code, out, err } = await run(['replay', '--topic', home]);
    assert.deepEqual([code, out], [1, '0 of 1 dead letter replayed.\n']);
    assert.match(err, /has been unloaded.*models load/);
    assert.deepEqual([await everything(home), (await listed(home)).length], [[], 1]);
    await told('served');
    assert.equal((await run(['replay', '--topic', home])).code, 0);
    assert.equal((await everything(home)).length, 1);
    await producer.send([{ topic: modelsTopic, key: model, value: null, partition: 0 }]);
  });

  test('a topic that is no more refuses its letters, and says so', async () => {
    const home = uniqueName('gone');
    await log.ensureTopics([testTopic({ name: `${home}.dlq` })]);
    await die(home, [{ key: 'a' }]);
    const { code, out, err } = await run(['replay', '--topic', home]);
    assert.deepEqual([code, out], [1, '0 of 1 dead letter replayed.\n']);
    assert.match(err, /is no more/);
    assert.equal((await listed(home)).length, 1, 'it is still there to be replayed');
  });
});
