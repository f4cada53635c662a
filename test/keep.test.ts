/** Frames that are kept to look at: which ones, from where, masked, for how long, and who may see them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Registry } from 'prom-client';
import { memoryBlobs } from '../connectors/blobs/memory.ts';
import { SaccadeError } from '../connectors/errors.ts';
import { memoryLog } from '../connectors/memory/log.ts';
import type { Log, Masker, Store } from '../connectors/ports.ts';
import { fileRegistry } from '../connectors/registry/files.ts';
import { chooser } from '../processors/keep/choose.ts';
import { keepConfig } from '../processors/keep/config.ts';
import { keepExamplesStage } from '../processors/keep/examples.ts';
import { forgetPictures } from '../processors/keep/forget.ts';
import { keepStage } from '../processors/keep/keep.ts';
import { keeper } from '../processors/keep/keeper.ts';
import { keptPictures } from '../processors/keep/kept-pictures.ts';
import { keepMetrics } from '../processors/keep/metrics.ts';
import { pictureAt } from '../processors/keep/picture-at.ts';
import { findPlaces } from '../processors/keep/places.ts';
import { retainPictures } from '../processors/keep/retain.ts';
import { keptColumns, keptTable } from '../processors/sink/kept-rows.ts';
import { columns, type Row, table } from '../processors/sink/row.ts';
import type { Input } from '../processors/stage.ts';
import { frameIdFromProducer } from '../schemas/ids.ts';
import { exampleRecord } from '../schemas/examples.ts';
import type { DriftWindow, Frame, KeptFrame, Place, Prediction } from '../schemas/records.ts';
import { topicSpecs } from '../schemas/topics.ts';
import { prediction } from './contracts/store.ts';
import { embeddedStore } from './support/embedded-store.ts';
import { photo } from './support/fed-page.ts';
import { quiet } from './support/pipeline.ts';

const minute = 60_000;
const noon = Date.UTC(2026, 0, 5, 12);
const idOf = (name: string): string => frameIdFromProducer('default', 'gate', name);
const place = (offset: number): Place => ({ topic: 'frames', partition: 0, offset });
const seen = (name: string, at: number, score: number, more: Partial<Prediction> = {}): Prediction =>
  prediction({
    frame_id: idOf(name), tenant: 'default', source: 'gate', model: 'nanodet', accepted_at: noon + at, labels: [], detections: [{ class_id: 0, label: 'cat', score, x1: 0, y1: 0, x2: 1, y2: 1 }],
    picture: { content_type: 'image/jpeg', size: 3, claim: null, place: place(7) }, ...more,
  });

describe('which frames are kept', () => {
  const choosing = () => chooser(keepConfig.parse({}));
  const chosenOf = (predictions: readonly Prediction[], choose = choosing()) => predictions.flatMap(choose).map(({ reason, frame_id }) => `${reason} ${frame_id}`);

  test('the first of each five minutes of a source, whatever its models', () => {
    const sure = (name: string, at: number, more: Partial<Prediction> = {}): Prediction => seen(name, at, 0.9, more);
    assert.deepEqual(
      chosenOf([sure('a', 0), sure('a', 0, { model: 'other' }), sure('b', minute), sure('y', 2 * minute, { source: 'yard' }), sure('c', 5 * minute), sure('late', minute), sure('t', 6 * minute, { tenant: 'acme' })]),
      ['a', 'y', 'c', 't'].map((name) => `sample ${idOf(name)}`),
    );
  });

  test('the one a model was least sure of in each five minutes, told when they are over; who finds nothing is not unsure', () => {
    const empty = seen('empty', 3, NaN, { detections: [] });
    assert.deepEqual(
      chosenOf([seen('a', 0, 0.9), seen('b', 1, 0.3), seen('c', 2, 0.38), empty, seen('d', 4, 0.45), seen('next', 5 * minute, 0.9), seen('after', 10 * minute, 0.9)]),
      [`sample ${idOf('a')}`, `sample ${idOf('next')}`, `unsure ${idOf('c')}`, `sample ${idOf('after')}`],
    );
  });

  test('none without an answer or a place in the log', () => {
    const nowhere = { content_type: 'image/jpeg', size: 3, claim: null, place: null };
    assert.deepEqual(chosenOf([seen('a', 0, 0.3, { status: 'dropped' }), seen('b', 0, 0.3, { picture: null }), seen('c', 0, 0.3, { picture: nowhere })]), []);
  });

  test('of more sources than are remembered, the oldest begins anew', () => {
    const choose = chooser(keepConfig.parse({ most: 2 }));
    const of = (source: string) => choose(seen(source, 0, 0.9, { source })).length;
    assert.deepEqual(['a', 'b', 'b', 'c', 'a'].map(of), [1, 1, 0, 1, 1]);
  });
});

/** Covers by saying so: what covers real faces is tested in mask.test.ts, and on the page in drift/page.test.ts. */
const covering: Masker = { mask: async (picture, tenant) => (tenant === 'open' ? null : { contentType: 'image/jpeg', bytes: Buffer.concat([picture, Buffer.from('covered')]) }) };

async function world({ masker = covering }: { masker?: Masker } = {}) {
  let now = noon;
  const log: Log = memoryLog();
  const registry = fileRegistry();
  const topics = topicSpecs(['nanodet'], { partitions: 1, replication: 1, minInSync: 1, maxRecordBytes: 8_000_000 });
  await log.ensureTopics(topics);
  await registry.prepare(topics);
  const producer = await log.producer();
  const [claims, blobs] = [memoryBlobs(), memoryBlobs({ now: () => now })];
  const metrics = new Registry();
  const clock = { now: () => now, sleep: async (ms: number) => void (now += ms) };
  const pictures = keptPictures({ blobs, masker });
  const at = pictureAt({ log, registry, claims });
  return {
    log, claims, blobs, clock, pictures, at,
    keep: keeper({ pictureAt: at, pictures, clock, metrics: keepMetrics(metrics) }),
    counted: async () => Object.fromEntries((await metrics.getMetricsAsJSON()).filter(({ name }) => name === 'saccade_kept_frames_total').flatMap(({ values }) => values.map(({ labels, value }) => [`${labels.reason} ${labels.outcome}`, value]))),
    async frame(name: string, more: Partial<Frame> = {}): Promise<Place> {
      const image = photo('chelsea');
      const frame: Frame = { id: idOf(name), tenant: 'default', source: 'gate', sequence: null, captured_at: noon, accepted_at: noon, content_type: 'image/jpeg', size: image.length, image, claim: null, models: ['nanodet'], deadline: null, reply: null, ...more };
      const [end] = await log.endOffsets('frames');
      await producer.send([{ topic: 'frames', key: 'gate', value: await registry.encode('frames', frame) }]);
      return place(end!.offset);
    },
    async raw(topic: string, value: Buffer): Promise<Place> {
      const [end] = await log.endOffsets(topic);
      await producer.send([{ topic, key: 'gate', value }]);
      return { topic, partition: 0, offset: end!.offset };
    },
  };
}

const inputsOf = <T>(values: readonly T[]): Input<T>[] =>
  values.map((value, offset) => ({ value, key: 'gate', headers: {}, origin: { cluster: 'c', topic: 'predictions', partition: 0, offset, timestamp: noon }, bytes: 1000, receivedAt: noon, attempt: 1 }));

describe('a picture by its place', () => {
  test('is the frame of that name and tenant, or none: a topic that was made anew has others at the same places', async () => {
    const { at, frame } = await world();
    const where = await frame('a');
    assert.ok((await at({ frame_id: idOf('a'), tenant: 'default', size: 1, place: where }))!.equals(photo('chelsea')));
    assert.equal(await at({ frame_id: idOf('b'), tenant: 'default', size: 1, place: where }), null);
    assert.equal(await at({ frame_id: idOf('a'), tenant: 'acme', size: 1, place: where }), null);
    assert.equal(await at({ frame_id: idOf('a'), tenant: 'default', size: 1, place: place(99) }), null, 'retention has passed it');
  });

  test('beside the log by its claim, and as its producer sent it where nobody wrote it anew', async () => {
    const { at, frame, claims, raw } = await world();
    const where = await frame('big', { image: null, claim: await claims.put('c', Buffer.from('large')) });
    assert.equal(String(await at({ frame_id: idOf('big'), tenant: 'default', size: 1, place: where })), 'large');
    assert.equal(await at({ frame_id: idOf('lost'), tenant: 'default', size: 1, place: await frame('lost', { image: null, claim: 'nowhere' }) }), null);
    assert.ok((await at({ frame_id: 'x', tenant: 'default', size: photo('coffee').length, place: await raw('frames.in', photo('coffee')) }))!.equals(photo('coffee')));
    assert.equal(await at({ frame_id: 'x', tenant: 'default', size: 9, place: await raw('frames.in', photo('coffee')) }), null, 'another picture lies there by now');
  });
});

describe('the stage that keeps frames', () => {
  test('keeps the pictures it has chosen, covered, tells of each, and lets go what it cannot have', async () => {
    const { keep, frame, pictures, blobs, counted } = await world();
    const [a, b] = [await frame('a'), await frame('b')];
    const stage = keepStage({ config: keepConfig.parse({}), keep, log: quiet });
    const of = (name: string, at: number, score: number, where: Place) => seen(name, at, score, { picture: { content_type: 'image/jpeg', size: 3, claim: null, place: where } });
    const outcomes = await stage.process(inputsOf([of('a', 0, 0.9, a), of('b', 1, 0.4, b), of('gone', 5 * minute, 0.9, place(50))]), new AbortController().signal);
    const records = outcomes.map((outcome) => (outcome.kind === 'emit' ? outcome.records : assert.fail(outcome.kind)));
    assert.deepEqual(records.map((each) => each.map(({ output, key, value }) => [output, key, (value as KeptFrame).frame_id, (value as KeptFrame).reason, (value as KeptFrame).masked])), [
      [['kept', 'gate', idOf('a'), 'sample', true]],
      [],
      [['kept', 'gate', idOf('b'), 'unsure', true]],
    ]);
    const { blob, size } = records[0]![0]!.value as KeptFrame;
    assert.deepEqual([blob, size], [`_default/${idOf('a')}.masked`, photo('chelsea').length + 7]);
    assert.ok((await blobs.get(blob)).subarray(-7).equals(Buffer.from('covered')));
    assert.equal((await pictures.get('default', idOf('a')))!.contentType, 'image/jpeg');
    assert.equal(await pictures.get('acme', idOf('a')), null, 'another tenant has no such frame');
    assert.deepEqual(await counted(), { 'sample kept': 1, 'sample gone': 1, 'unsure kept': 1 });
  });

  test('where faces cannot be covered nothing is kept, and nothing of the pipeline is in trouble', async () => {
    const { keep, frame, blobs, counted } = await world({ masker: { mask: () => Promise.reject(new SaccadeError('masking_unavailable')) } });
    const stage = keepStage({ config: keepConfig.parse({}), keep, log: quiet });
    const input = seen('a', 0, 0.9, { picture: { content_type: 'image/jpeg', size: 3, claim: null, place: await frame('a') } });
    const [outcome] = await stage.process(inputsOf([input]), new AbortController().signal);
    assert.deepEqual(outcome, { kind: 'emit', records: [] });
    assert.deepEqual(await counted(), { 'sample failed': 1 });
    assert.deepEqual(await blobs.trim(0), []);
  });

  test('what was kept as it came is covered from the day its tenant wants that', async () => {
    const { pictures, blobs } = await world();
    await pictures.put('open', 'x', photo('chelsea'));
    assert.ok((await pictures.get('open', 'x'))!.bytes.equals(photo('chelsea')));
    const later = keptPictures({ blobs, masker: { mask: async () => ({ contentType: 'image/jpeg', bytes: Buffer.from('covered') }) } });
    assert.equal(String((await later.get('open', 'x'))!.bytes), 'covered');
  });

  test('by age, as each tenant wants it, and by bytes, the oldest first', async () => {
    const { pictures, blobs, clock } = await world();
    const size = photo('chelsea').length;
    for (const name of ['a', 'b', 'c', 'd']) {
      await pictures.put('open', name, photo('chelsea'));
      await clock.sleep(minute);
    }
    await pictures.put('short', 'e', Buffer.from('e'));
    await clock.sleep(minute);
    const one = new AbortController();
    const once = { now: clock.now, sleep: async () => one.abort() };
    await retainPictures({ clock: once, blobs, ageMs: (tenant) => (tenant === 'short' ? minute / 2 : 4.5 * minute), maxBytes: 2.5 * size, forget: null, signal: one.signal, log: quiet });
    const left = await Promise.all(['a', 'b', 'c', 'd'].map((name) => pictures.get('open', name)));
    assert.deepEqual(left.map((picture) => picture !== null), [false, false, true, true]);
    assert.equal(await pictures.get('short', 'e'), null);
  });
});

describe('frames in the store', { timeout: 120_000 }, () => {
  let store: Store;
  embeddedStore('frames', (opened) => (store = opened));

  const closed = (closed_at: number, ...names: readonly string[]): DriftWindow => ({ ...exampleRecord('drift-window'), tenant: 'default', source: 'gate', closed_at, examples: names.map(idOf) }) as unknown as DriftWindow;
  const stored = (...predictions: readonly Prediction[]) => store.inserter<Row>(table, columns)(predictions.map((value) => ({ prediction: value, headers: {} })));

  test('examples of drift are kept though they are named ten minutes later, as soon as the store knows their places', async () => {
    const { keep, frame, clock } = await world();
    const [a, b] = [await frame('early'), await frame('late')];
    const of = (name: string, where: Place) => seen(name, 0, 0.9, { picture: { content_type: 'image/jpeg', size: 3, claim: null, place: where } });
    await stored(of('early', a));
    let asked = 0;
    const find = findPlaces(async (sql, params) => {
      // The sink is behind at the first look; the store away at the second.
      asked += 1;
      if (asked === 2) throw new SaccadeError('store_unavailable');
      if (asked === 3) await stored(of('late', b));
      return store.query(sql, params);
    });
    const stage = keepExamplesStage({ find, keep, clock, log: quiet });
    const window = closed(clock.now(), 'early', 'late');
    const [outcome, nothing] = await stage.process(inputsOf([window, { ...window, examples: [] }]), new AbortController().signal);
    const kept = outcome!.kind === 'emit' ? outcome!.records.map(({ value }) => value as KeptFrame) : [];
    assert.deepEqual(kept.map(({ frame_id, reason }) => [frame_id, reason]), [[idOf('early'), 'drift'], [idOf('late'), 'drift']]);
    assert.deepEqual([nothing, asked], [{ kind: 'emit', records: [] }, 3]);
    await store.inserter<KeptFrame>(keptTable, keptColumns)(kept);
  });

  test('examples that never turn up are given up after some minutes, all of a batch at once; those of an old window, and what lies nowhere, at once', async () => {
    const { keep, clock, counted } = await world();
    const stage = keepExamplesStage({ find: findPlaces((sql, params) => store.query(sql, params)), keep, clock, log: quiet });
    const took = async (...windows: readonly DriftWindow[]): Promise<number> => {
      const began = clock.now();
      assert.deepEqual(await stage.process(inputsOf(windows), new AbortController().signal), windows.map(() => ({ kind: 'emit', records: [] })));
      return clock.now() - began;
    };
    const waited = await took(closed(clock.now(), 'never'), closed(clock.now(), 'neither'), closed(clock.now() + 60 * minute, 'ahead'));
    assert.ok(waited > 2 * minute && waited <= 3 * minute, `${waited}`);
    assert.equal(await took(closed(clock.now() - 4 * minute, 'never')), 0);
    await stored(seen('cached', 0, 0.9, { id: idOf('pc'), captured_at: noon, picture: null }));
    assert.equal(await took(closed(clock.now(), 'cached')), 0);
    assert.deepEqual(await counted(), { 'drift gone': 1 });
  });

  test('a process that ends gives its examples to the next', async () => {
    const { keep, clock } = await world();
    const stage = keepExamplesStage({ find: async () => new Map(), keep, log: quiet, clock: { now: clock.now, sleep: (_ms, signal) => new Promise((wake) => (signal!.addEventListener('abort', () => wake()), stage.drain!())) } });
    const [outcome] = await stage.process(inputsOf([closed(clock.now(), 'never')]), new AbortController().signal);
    assert.equal(outcome!.kind, 'retry');
  });

  test('a frame is one row, whatever became of it and however many models it had: its picture, its place, why it is kept', async () => {
    await stored(
      seen('two', 100, 0.9, { model: 'nanodet', id: idOf('p1'), captured_at: noon, picture: { content_type: 'image/png', size: 70_000, claim: 'c/1', place: { topic: 'frames.overflow', partition: 5, offset: 123_456_789_012 } } }),
      seen('two', 100, 0.9, { model: 'lite0', id: idOf('p2'), captured_at: noon, status: 'dropped', quality: null, image_width: null, image_height: null, picture: { content_type: 'image/png', size: 70_000, claim: 'c/1', place: { topic: 'frames.overflow', partition: 5, offset: 123_456_789_012 } } }),
      seen('old', 200, 0.9, { id: idOf('p3'), picture: null }),
    );
    const frames = await store.query(`SELECT toString(frame_id) AS id, arraySort(models) AS names, answered, luma, round(saturation, 3) AS saturation, entropy, content_type, size, claim, log_topic, log_partition, toString(log_offset) AS at, kept FROM frames WHERE source = 'gate' ORDER BY accepted_at, id`);
    const two = { id: idOf('two'), names: ['lite0', 'nanodet'], answered: 1, luma: 100.5, saturation: 0.5, entropy: 7, content_type: 'image/png', size: 70_000, claim: 'c/1', log_topic: 'frames.overflow', log_partition: 5, at: '123456789012', kept: null };
    assert.deepEqual((frames as { id: string }[]).find(({ id }) => id === idOf('two')), two);
    const old = (frames as Record<string, unknown>[]).find(({ id }) => id === idOf('old'))!;
    assert.deepEqual([old.content_type, old.size, old.claim, old.log_topic, old.log_partition, old.at, old.kept], ['', 0, null, null, null, null, null]);
    assert.equal((frames as { id: string; kept: string | null }[]).find(({ id }) => id === idOf('early'))!.kept, 'drift');
    assert.deepEqual(await store.query(`SELECT reason, masked, blob FROM kept_frames WHERE frame_id = '${idOf('early')}'`), [{ reason: 'drift', masked: true, blob: `_default/${idOf('early')}.masked` }]);
  });

  test('pictures that make room for others are listed no more, but those that were kept again meanwhile', async () => {
    const { blobs, clock } = await world();
    const names = ['_some/a', '_some/b', '_other/c', '_other/d'];
    const row = (blob: string, kept_at: number): KeptFrame => ({ frame_id: idOf(blob), tenant: 'trimmed', source: 'gate', reason: 'sample', captured_at: noon, kept_at, content_type: 'image/jpeg', size: 10, masked: false, blob });
    for (const name of names) {
      await blobs.put(name, Buffer.alloc(10));
      await clock.sleep(minute);
    }
    const now = clock.now();
    await store.inserter<KeptFrame>(keptTable, keptColumns)([...names.map((name, i) => row(name, now - (5 - i) * minute)), row('_other/c', now + minute)]);
    const one = new AbortController();
    await retainPictures({ clock: { now: clock.now, sleep: async () => one.abort() }, blobs, ageMs: () => Infinity, maxBytes: 0, forget: forgetPictures(store), signal: one.signal, log: quiet });
    assert.deepEqual(await store.query("SELECT blob FROM kept_frames WHERE tenant = 'trimmed' ORDER BY blob"), [{ blob: '_other/c' }]);
  });

  test('pictures whose rows could not be taken out are remembered until they can', async () => {
    const one = new AbortController();
    const forgotten: [readonly string[], number][] = [];
    let [looks, tries] = [0, 0];
    const blobs = { expire: async () => 0, trim: async () => [['a', 'b'], ['c'], []][looks]! };
    const forget = async (names: readonly string[], before: number): Promise<void> => {
      if (++tries < 2) throw new SaccadeError('store_unavailable');
      forgotten.push([names, before]);
    };
    const clock = { now: () => looks, sleep: async () => void (++looks === 3 && one.abort()) };
    await retainPictures({ clock, blobs, ageMs: () => Infinity, maxBytes: 0, forget, signal: one.signal, log: quiet });
    assert.deepEqual(forgotten, [[['a', 'b'], 0], [['c'], 1]]);
  });

  test('embeddings and timings have a row for each, and a question about a day reads its week alone', async () => {
    const [embedding] = await store.query(`SELECT dimensions, embedding FROM embeddings WHERE frame_id = '${idOf('two')}'`);
    assert.deepEqual(embedding, { dimensions: 3, embedding: [0.5, -1, 3.25] });
    assert.deepEqual(await store.query(`SELECT phase, ms FROM timings WHERE frame_id = '${idOf('two')}' ORDER BY phase`), [{ phase: 'decode', ms: 1.5 }, { phase: 'infer', ms: 10 }]);
    await stored(...[1, 2, 3].map((weeks) => seen(`week${weeks}`, weeks * 7 * 86_400_000, 0.9, { id: idOf(`w${weeks}`), captured_at: noon + weeks * 7 * 86_400_000 })));
    for (const view of ['frames', 'embeddings', 'timings', 'predictions']) {
      const plan = await store.query<{ explain: string }>(`EXPLAIN indexes = 1 SELECT count() FROM ${view} WHERE tenant = 'default' AND accepted_at >= toDateTime('2026-01-26 00:00:00', 'UTC')`);
      const parts = plan.map(({ explain }) => /Parts: (\d+)\/(\d+)/.exec(explain)).filter((found) => found !== null).map(([, some, all]) => [Number(some), Number(all)]);
      assert.ok(parts.some(([some, all]) => some! < all! && some === 1), `${view}: ${JSON.stringify(parts)}`);
    }
  });
});
