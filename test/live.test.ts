import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { SaccadeError } from '../connectors/errors.ts';
import type { LogRecord } from '../connectors/ports.ts';
import type { FrameEvent } from '../processors/live/events.ts';
import { frameTap } from '../processors/live/frame-tap.ts';
import { joiner } from '../processors/live/joiner.ts';
import { latencyWindow } from '../processors/live/latency-window.ts';
import { pictures } from '../processors/live/pictures.ts';
import { slidingRate } from '../processors/live/sliding-rate.ts';
import { tally } from '../processors/live/tally.ts';
import type { Frame, Prediction } from '../schemas/records.ts';

const T0 = 1_700_000_000_000;

const prediction = (over: Partial<Prediction> & Pick<Prediction, 'frame_id'>): Prediction => {
  const model = over.model ?? 'a';
  return {
    id: `${over.frame_id}/${model}`, tenant: 't', source: 'gate', sequence: null, captured_at: T0, accepted_at: T0, completed_at: T0 + 30,
    status: 'ok', stage: null, reason: null, detail: null, model, version: '1', fallback_for: null, task: 'classification', image_width: 640, image_height: 480,
    labels: [], detections: [], embedding: null, quality: null, timings_ms: {}, request_id: null, cached: false, picture: null, ...over,
  };
};

describe('windows', () => {
  test('a rate counts whole seconds, of ten at most, and falls to 0 when nothing comes', () => {
    const rate = slidingRate();
    assert.equal(rate.perSecond(T0), 0);
    for (let s = 0; s < 3; s++) for (let i = 0; i < 20; i++) rate.add(T0 + s * 1000 + i * 50);
    assert.equal(rate.perSecond(T0 + 3000), 20);
    assert.equal(rate.perSecond(T0 + 2950), 20, 'the second under way does not pull it down');
    assert.equal(rate.perSecond(T0 + 10_000), 6);
    assert.equal(rate.perSecond(T0 + 13_000), 0);
  });

  test('percentiles are within 2 % of the exact nearest rank, and forget after a minute', () => {
    const window = latencyWindow();
    assert.deepEqual(window.percentiles(T0), { count: 0, p50: null, p95: null, p99: null });
    const values = Array.from({ length: 1000 }, (_, i) => 5 + ((i * 7919) % 1000) * 1.7);
    for (const [i, ms] of values.entries()) window.add(T0 + i * 30, ms);
    const sorted = values.toSorted((a, b) => a - b);
    const { count, p50, p95, p99 } = window.percentiles(T0 + 31_000);
    assert.equal(count, 1000);
    for (const [got, share] of [[p50, 0.5], [p95, 0.95], [p99, 0.99]] as const) {
      const exact = sorted[Math.ceil(1000 * share) - 1]!;
      assert.ok(Math.abs(got! / exact - 1) < 0.021, `${share}: ${got} for ${exact}`);
    }
    assert.equal(window.percentiles(T0 + 91_000).count, 0);
  });

  test('the history has a value for each second that had one', () => {
    const window = latencyWindow();
    window.add(T0, 10);
    window.add(T0 + 2000, 100);
    window.add(T0 + 2500, -5); // a camera whose clock is ahead
    const { p50, p95 } = window.history(T0 + 3000);
    assert.equal(p50.length, 60);
    assert.deepEqual(p50.slice(-4).map((v) => v === null), [true, false, true, false]);
    assert.ok(Math.abs(p95.at(-1)! - 100) < 2 && p50.at(-1)! < 1);
  });
});

describe('the tally', () => {
  test('counts a repeat once, a frame once for all its models, and endings by reason', () => {
    const counts = tally(T0);
    for (let i = 0; i < 10; i++) {
      for (const model of ['a', 'b']) assert.equal(counts.add(prediction({ frame_id: `${i}`, model }), T0), true);
    }
    assert.equal(counts.add(prediction({ frame_id: '3' }), T0), false);
    counts.add(prediction({ frame_id: 'x', status: 'dropped', stage: 'infer.a', reason: 'deadline' }), T0);
    counts.add(prediction({ frame_id: 'y', status: 'dropped', stage: 'infer.a', reason: 'deadline' }), T0);
    counts.add(prediction({ frame_id: 'z', status: 'dead_lettered', stage: 'ingest', reason: 'undecodable_image' }), T0);
    const read = counts.read(T0 + 1000);
    assert.equal(read.total.frames_rate, 13);
    assert.equal(read.total.answers_rate, 20);
    assert.deepEqual(read.models.map(({ model, count, rate }) => ({ model, count, rate })), [{ model: 'a', count: 10, rate: 10 }, { model: 'b', count: 10, rate: 10 }]);
    assert.deepEqual(read.sources, [{ source: 'gate', rate: 13, last_at: T0 }]);
    assert.deepEqual(read.endings, [
      { status: 'dropped', stage: 'infer.a', reason: 'deadline', count: 2 },
      { status: 'dead_lettered', stage: 'ingest', reason: 'undecodable_image', count: 1 },
    ]);
  });

  test('keeps the last fifty, newest first, with the best label', () => {
    const counts = tally(T0);
    for (let i = 0; i < 60; i++) {
      const labels = [{ class_id: 1, label: 'cup', score: 0.2 }, { class_id: 2, label: 'espresso', score: 0.7 }];
      counts.add(prediction({ frame_id: `${i}`, labels, completed_at: T0 + i }), T0);
    }
    const { recent } = counts.read(T0);
    assert.equal(recent.length, 50);
    assert.deepEqual(recent[0], { id: '59/a', at: T0 + 59, source: 'gate', model: 'a', status: 'ok', what: 'espresso', score: 0.7, more: 1, reason: null, latency_ms: 59 });
  });

  test('sources named by strangers do not fill the memory', () => {
    const counts = tally(T0);
    for (let i = 0; i < 1000; i++) counts.add(prediction({ frame_id: `${i}`, source: `s${i}` }), T0);
    const { sources } = counts.read(T0);
    assert.equal(sources.length, 64);
    assert.ok(sources.some(({ source }) => source === 's999'));
  });
});

function joined(hasPicture = (_id: string) => true) {
  const shown: FrameEvent[] = [];
  return { shown, join: joiner({ hasPicture, show: (event) => shown.push(event) }) };
}
const frame = (id: string, models = ['a', 'b']): Pick<Frame, 'id' | 'source' | 'models'> => ({ id, source: 'gate', models });
const pictured = (id: string, source: string, bytes: number) => ({ id, source, tenant: 't', content_type: 'image/jpeg', image: Buffer.alloc(bytes), claim: null });

describe('joining', () => {
  test('shows a frame once all models it asked for have answered, whichever came first', () => {
    const { shown, join } = joined();
    join.prediction(prediction({ frame_id: '1', model: 'b' }), T0);
    join.frame(frame('1'), T0);
    assert.equal(shown.length, 0);
    join.prediction(prediction({ frame_id: '1', model: 'a', labels: [{ class_id: 4, label: 'cat', score: 0.5 }] }), T0);
    assert.equal(shown.length, 1);
    assert.deepEqual(Object.keys(shown[0]!.models).toSorted(), ['a', 'b']);
    assert.deepEqual(shown[0]!.models.a!.labels, [{ label: 'cat', score: 0.5 }]);
    assert.equal(shown[0]!.width, 640);
  });

  test('shows it without the answer that stays away, and again when that comes', () => {
    const { shown, join } = joined();
    join.frame(frame('1'), T0);
    join.prediction(prediction({ frame_id: '1', model: 'a' }), T0);
    join.flush(T0 + 300);
    assert.equal(shown.length, 0);
    join.flush(T0 + 500);
    join.flush(T0 + 600);
    assert.deepEqual(shown.map((e) => Object.keys(e.models)), [['a']]);
    join.prediction(prediction({ frame_id: '1', model: 'b' }), T0 + 700);
    assert.deepEqual(shown.map((e) => Object.keys(e.models)), [['a'], ['a', 'b']]);
  });

  test('never steps back in time, and shows no more than an eye can see', () => {
    const { shown, join } = joined();
    const answer = (id: string, at: number, now: number): void => {
      join.frame(frame(id, ['a']), now);
      join.prediction(prediction({ frame_id: id, captured_at: T0 + at }), now);
    };
    answer('2', 200, T0);
    answer('1', 100, T0 + 1000);
    answer('3', 300, T0 + 1001);
    answer('4', 310, T0 + 1002);
    answer('5', 400, T0 + 1100);
    assert.deepEqual(shown.map((e) => e.frame_id), ['2', '3', '5']);
  });

  test('a frame without its picture waits while pictures are expected, and is left out while they come', () => {
    const { shown, join } = joined((id) => id.startsWith('p'));
    join.expectPictures(T0 + 1000);
    join.prediction(prediction({ frame_id: '1' }), T0);
    join.flush(T0 + 500);
    assert.equal(shown.length, 0);
    join.flush(T0 + 1500);
    assert.deepEqual(shown.map((e) => [e.frame_id, e.picture]), [['1', false]]);
    join.frame(frame('p2', ['a']), T0 + 2000);
    // Its picture is there, its answer is not: the pipeline is behind, and what it does answer is shown without a picture.
    join.prediction(prediction({ frame_id: '2', captured_at: T0 + 1 }), T0 + 2001);
    join.flush(T0 + 2500);
    join.prediction(prediction({ frame_id: 'p2', captured_at: T0 + 1 }), T0 + 2600);
    join.prediction(prediction({ frame_id: '3', captured_at: T0 + 2 }), T0 + 2700);
    join.flush(T0 + 3200);
    assert.deepEqual(shown.map((e) => e.frame_id), ['1', '2', 'p2']);
  });
});

describe('pictures', () => {
  test('stay within the bytes, and a source of large ones does not push out the others', async () => {
    const held = pictures(100_000);
    held.keep(pictured('small', 'b', 1000));
    for (let i = 0; i < 50; i++) {
      held.keep(pictured(`large${i}`, 'a', 20_000));
      assert.ok(held.size() <= 100_000);
    }
    assert.equal((await held.get('small', 't'))?.bytes.length, 1000);
    assert.equal(await held.get('large0', 't'), null);
    assert.equal((await held.get('large49', 't'))?.contentType, 'image/jpeg');
  });

  test('a claim check is redeemed when asked for; a missing blob is no picture, a store that is away is an error', async () => {
    const blobs = {
      async get(claim: string) {
        if (claim === 'c1') return Buffer.from('bytes');
        throw new SaccadeError(claim === 'gone' ? 'blob_missing' : 'blobs_unavailable');
      },
    };
    const held = pictures(100_000, { blobs });
    for (const claim of ['c1', 'gone', 'away']) held.keep({ id: claim, source: 'a', tenant: 't', content_type: 'image/png', image: null, claim });
    assert.deepEqual(await held.get('c1', 't'), { contentType: 'image/png', bytes: Buffer.from('bytes') });
    assert.equal(await held.get('c1', 'other'), null, "another tenant's picture is not there");
    assert.equal(await held.get('gone', 't'), null);
    await assert.rejects(held.get('away', 't'), { code: 'blobs_unavailable' });
    const without = pictures(100_000);
    without.keep({ id: 'c1', source: 'a', tenant: 't', content_type: 'image/png', image: null, claim: 'c1' });
    assert.equal(without.has('c1'), false);
  });

  test('are masked once, when first asked for, and held masked from then on', async () => {
    const seen: [string, string | null][] = [];
    const held = pictures(100_000, {
      blobs: { get: async () => Buffer.from('from the blob') },
      masker: {
        async mask(bytes, tenant) {
          seen.push([bytes.toString(), tenant]);
          await new Promise((resolve) => setImmediate(resolve));
          return tenant === 'open' ? null : { contentType: 'image/webp', bytes: Buffer.alloc(5000, 'm') };
        },
      },
    });
    held.keep({ ...pictured('1', 'a', 0), image: Buffer.from('raw') });
    const before = held.size();
    const [one, two] = await Promise.all([held.get('1', 't'), held.get('1', 't')]);
    assert.deepEqual(one, { contentType: 'image/webp', bytes: Buffer.alloc(5000, 'm') });
    assert.equal(two, one, 'two viewers, one work');
    assert.deepEqual(await held.get('1', 't'), one);
    assert.deepEqual(seen, [['raw', 't']]);
    assert.equal(held.size(), before - 3 + 5000, 'what came is not held any more');
    held.keep({ ...pictured('2', 'a', 0), image: null, claim: 'c' });
    assert.equal((await held.get('2', 't'))?.contentType, 'image/webp');
    held.keep({ ...pictured('3', 'a', 0), tenant: 'open', image: Buffer.from('as it came') });
    assert.deepEqual(await held.get('3', 'open'), { contentType: 'image/jpeg', bytes: Buffer.from('as it came') });
  });

  test('that cannot be masked are not shown, and tried again the next time', async () => {
    let works = false;
    const held = pictures(100_000, {
      masker: {
        async mask() {
          if (!works) throw new SaccadeError('masking_unavailable');
          return { contentType: 'image/jpeg', bytes: Buffer.from('masked') };
        },
      },
    });
    held.keep({ ...pictured('1', 'a', 0), image: Buffer.from('raw') });
    await assert.rejects(held.get('1', 't'), { code: 'masking_unavailable' });
    works = true;
    assert.equal((await held.get('1', 't'))?.bytes.toString(), 'masked');
  });

  test('of many frames only as many are decoded as are seen, the newest of a batch first', async () => {
    const decoded: number[] = [];
    const registry = { decode: async (_topic: string, bytes: Buffer) => bytes.readUInt32BE() };
    const take = frameTap(registry, (value) => decoded.push(value as unknown as number));
    const record = (n: number, key: string): LogRecord => {
      const value = Buffer.alloc(4);
      value.writeUInt32BE(n);
      return { topic: 'frames', partition: 0, offset: n, timestamp: T0, key: Buffer.from(key), value, headers: {} };
    };
    take([record(1, 'a'), record(2, 'a'), record(3, 'b')], T0);
    take([record(4, 'a')], T0 + 10);
    take([record(5, 'a')], T0 + 100);
    take(Array.from({ length: 500 }, (_, i) => record(100 + i, `request-${i}`)), T0 + 200);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(decoded.filter((n) => n < 100), [3, 2, 5]);
    assert.equal(decoded.length, 90);
  });
});
