/** What the edge reads of the store, on a real one. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Store } from '../../connectors/ports.ts';
import { resultOf } from '../../processors/edge/history/results.ts';
import { statsOf } from '../../processors/edge/history/stats.ts';
import { recentResults } from '../../processors/edge/recent-results.ts';
import { storeReader } from '../../processors/edge/store-reader.ts';
import { systemClock } from '../../processors/runtime/clock.ts';
import { buildRollups } from '../../processors/sink/rollups/build.ts';
import type { History } from '../../schemas/api/history.ts';
import type { Result } from '../../schemas/api/result.ts';
import type { Stats } from '../../schemas/api/stats.ts';
import { frameIdFromProducer, predictionId } from '../../schemas/ids.ts';
import type { Prediction } from '../../schemas/records.ts';
import { prediction } from '../contracts/store.ts';
import { type EdgeUnderTest, problemOf, startEdgeUnderTest } from '../support/edge.ts';
import { embeddedStore } from '../support/embedded-store.ts';
import { storePredictions } from '../support/rows.ts';

const noon = Date.UTC(2025, 5, 1, 12);
const frame = (name: string): string => frameIdFromProducer('test', 'camera', name);

/** The n-th second past noon; a name of its own makes a frame of its own. */
function row(n: number, of: Partial<Prediction> = {}): Prediction {
  const { model = 'nanodet' } = of;
  const frame_id = frame(`${of.tenant ?? ''} ${n}`);
  return prediction({ frame_id, id: predictionId(frame_id, model), tenant: 'default', model, captured_at: noon + n * 1000, accepted_at: noon + n * 1000, completed_at: noon + n * 1000 + 80, ...of });
}
const box = (label: string, score: number) => ({ class_id: 1, label, score, x1: 1, y1: 2, x2: 3, y2: 4 });

describe('what has been seen', { timeout: 120_000 }, () => {
  let store: Store;
  let edge: EdgeUnderTest;
  embeddedStore('history', (opened) => (store = opened));
  before(async () => {
    edge = await startEdgeUnderTest({ stages: [], store });
    await storePredictions(store, [
      ...Array.from({ length: 25 }, (_, n) => row(n, { detections: [box(n % 2 === 0 ? 'person' : 'car', 0.3 + n / 50), box('dog', 0.36)] })),
      // At one moment: only the id tells which comes first.
      ...Array.from({ length: 5 }, (_, n) => row(100 + n, { captured_at: noon + 100_000, source: 'gate' })),
      row(200, { status: 'dropped', stage: 'infer', reason: 'deadline', detail: 'late', detections: [], version: null, task: null }),
      row(201, { status: 'dead_lettered', stage: 'preprocess', reason: 'undecodable_image', detail: 'torn', detections: [], version: null, task: null, source: "o'brien" }),
      row(202, { model: 'efficientnet-lite0', task: 'classification', detections: [], labels: [{ class_id: 1, label: 'espresso', score: 0.9 }, { class_id: 2, label: 'cup', score: 0.05 }] }),
      ...Array.from({ length: 3 }, (_, n) => row(n, { tenant: 'other', source: 'theirs' })),
    ]);
    // A dead letter that was answered after all shows once.
    await storePredictions(store, [row(3, { status: 'dead_lettered', stage: 'infer', reason: 'inference_failed', detections: [] })]);
    await buildRollups(store, { until: noon + 3_600_000, clock: { now: () => noon + 3_600_000 }, builder: 'test' });
  });
  after(() => edge.close());

  const get = async <T>(path: string): Promise<T> => {
    const response = await fetch(edge.url + path);
    const body = (await response.json()) as T;
    assert.equal(response.status, 200, JSON.stringify(body));
    return body;
  };
  const history = (query: Record<string, string> = {}) => get<History>(`/v1/predictions?${new URLSearchParams(query)}`);

  test('newest first, as POST /v1/infer answers, and only of this tenant', async () => {
    const { items, next } = await history({ limit: '500' });
    assert.equal(items.length, 33);
    assert.equal(next, null);
    assert.deepEqual(items.slice(0, 3).map(({ status }) => status), ['ok', 'dead_lettered', 'dropped']);
    assert.deepEqual(items[0]!.answer!.predictions, [{ label: 'espresso', score: 0.9 }, { label: 'cup', score: 0.05 }]);
    assert.deepEqual([items[1]!.error!.code, items[1]!.stage, items[2]!.error!.code], ['undecodable_image', 'preprocess', 'deadline_exceeded']);
    const times = items.map(({ captured_at }) => Date.parse(captured_at));
    assert.deepEqual(times, times.toSorted((a, b) => b - a));
    const third = items.find(({ frame_id }) => frame_id === frame(' 3'))!;
    assert.deepEqual([third.status, third.latency_ms, third.answer!.detections!.map(({ label }) => label)], ['ok', 80, ['car', 'dog']]);
    assert.ok(items.every(({ source }) => source !== 'theirs'));
  });

  test('each filter, and all of them together', async () => {
    const count = async (query: Record<string, string>) => (await history({ limit: '500', ...query })).items.length;
    assert.equal(await count({ source: 'gate' }), 5);
    assert.equal(await count({ source: "o'brien" }), 1);
    assert.equal(await count({ source: 'theirs' }), 0);
    assert.equal(await count({ model: 'efficientnet-lite0' }), 1);
    assert.equal(await count({ label: 'cup' }), 1);
    assert.equal(await count({ label: 'cup', min_score: '0.5' }), 0, 'the score is that of the label');
    assert.equal(await count({ label: 'car' }), 12);
    assert.equal(await count({ label: 'car', min_score: '0.5' }), 7);
    assert.equal(await count({ status: 'dropped' }), 1);
    assert.equal(await count({ min_score: '0.85' }), 1);
    assert.equal(await count({ since: new Date(noon + 10_000).toISOString(), until: String(noon + 20_000) }), 10);
    assert.equal(await count({ source: 'camera', model: 'nanodet', label: 'person', status: 'ok', min_score: '0.7', since: String(noon), until: String(noon + 60_000) }), 3);
  });

  test('a walk by cursor meets every row once, however many come meanwhile', async () => {
    const met: string[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const page: History = await history({ limit: '7', model: 'nanodet', ...(cursor === undefined ? {} : { cursor }) });
      met.push(...page.items.map(({ id }) => id));
      cursor = page.next ?? undefined;
      // Newer ones, and one late one at the moment where the walk stands.
      await storePredictions(store, [row(1000 + pages, { source: 'new' })]);
      pages += 1;
    } while (cursor !== undefined);
    assert.equal(new Set(met).size, met.length, 'none twice');
    assert.equal(met.length, 32, 'all that were there');
    assert.equal(pages, 5);
  });

  test('what is no filter, no time, no cursor is refused by its name', async () => {
    for (const [query, field] of [['sorce=a', /sorce/], ['min_score=2', /query\.min_score/], ['min_score=', /query\.min_score/], ['limit=0', /query\.limit/], ['limit=501', /query\.limit/], ['limit=5e1', /query\.limit/], ['since=yesterday', /query\.since/], ['since=2025-06-01T12:00:00', /query\.since/], ['cursor=bm9uZQ', /query\.cursor/], ['status=fine', /query\.status/], ['source=a&source=b', /query\.source/]] as const) {
      assert.match((await problemOf(await fetch(`${edge.url}/v1/predictions?${query}`), 400, 'bad_request')).detail!, field, query);
    }
  });

  test('counts, latency, classes and confidence of a time', async () => {
    const stats = await get<Stats>(`/v1/stats?since=${noon}&until=${noon + 60_000}`);
    assert.deepEqual(stats.outcomes, { ok: 25, dropped: 0, dead_lettered: 0 });
    assert.equal(stats.counted_until, new Date(noon + 3_600_000).toISOString());
    assert.ok(Math.abs(stats.latency_ms.p95! / 80 - 1) < 0.06 && stats.latency_ms.mean === 80, JSON.stringify(stats.latency_ms));
    assert.deepEqual(stats.classes.map(({ label, count }) => [label, count]), [['dog', 25], ['person', 13], ['car', 12]]);
    assert.equal(stats.confidence.reduce((sum, { count }) => sum + count, 0), 50);
    assert.equal(stats.confidence[3]!.count, 30, '25 dogs and those from 0.3 to 0.38');
    assert.deepEqual(stats.throughput.series.map(({ ok }) => ok), [25]);
    assert.ok(Math.abs(stats.throughput.per_second - 25 / 60) < 1e-9);
  });

  test('a day: what got no answer and why; hours and minutes add up to the same', async () => {
    const day = await get<Stats>(`/v1/stats?since=${noon - 40_000_000}&until=${noon + 3_599_000}`);
    assert.equal(day.throughput.step_seconds, 3600);
    assert.deepEqual(day.outcomes, { ok: 31, dropped: 1, dead_lettered: 1 });
    assert.deepEqual(day.endings.map(({ stage, reason, count }) => [stage, reason, count]).sort(), [['infer', 'deadline', 1], ['preprocess', 'undecodable_image', 1]]);
    const hour = await get<Stats>(`/v1/stats?since=${noon}&until=${noon + 3_600_000}`);
    assert.deepEqual([hour.outcomes, hour.latency_ms], [day.outcomes, day.latency_ms]);
    const gate = await get<Stats>(`/v1/stats?since=${noon}&until=${noon + 3_600_000}&source=gate`);
    assert.deepEqual(gate.outcomes, { ok: 5, dropped: 0, dead_lettered: 0 });
    assert.deepEqual((await get<Stats>(`/v1/stats?since=${noon}&until=${noon + 1000}&source=theirs`)).classes, []);
    for (const since of [0, 1_000, 9_999_000]) assert.equal((await get<Stats>(`/v1/stats?since=${since}&until=10000000`)).outcomes.ok, 0, 'a time long ago is one all the same');
    await problemOf(await fetch(`${edge.url}/v1/stats?since=${noon}&until=${noon}`), 400, 'bad_request');
  });

  test('whatever the time asked for, they are what the rows themselves say, as far as the rollups go', async () => {
    const hour = 3_600_000;
    const clock = { now: () => noon + hour };
    const endings = [{ status: 'ok', version: '1' }, { status: 'ok', version: '2' }, { status: 'dropped', stage: 'infer', reason: 'deadline', version: null }, { status: 'dead_lettered', stage: 'preprocess', reason: 'undecodable_image', version: null }] as const;
    const all = Array.from({ length: 400 }, (_, n) => row(-((n * 7919) % 108_000), { tenant: 'counted', source: `camera-${n % 3}`, model: n % 5 === 0 ? 'efficientnet-lite0' : 'nanodet', ...endings[n % 4], detections: n % 4 < 2 ? [box(`class-${n % 60}`, (n % 11) / 10)] : [] }));
    await storePredictions(store, all);
    await buildRollups(store, { until: noon + hour, clock, builder: 'test' });
    // Some leave their bucket, and some are counted in no pass yet.
    await storePredictions(store, all.slice(0, 20).map((one) => ({ ...one, status: 'ok', stage: null, reason: null, version: '1', accepted_at: one.accepted_at - hour })));
    await buildRollups(store, { until: noon + hour, clock, builder: 'test' });
    await storePredictions(store, [row(7_200, { tenant: 'counted' })]);
    const ask = storeReader(store);
    for (const [since, until, filter] of [[-24 * hour, 0, {}], [-29.31 * hour, -0.77 * hour, {}], [-3.4 * hour, 3 * hour, {}], [-20.5 * hour, 2 * hour, { source: 'camera-1' }], [-26 * hour, -2.01 * hour, { model: 'nanodet' }], [-0.2 * hour, -0.1 * hour, {}]] as const) {
      const query = { since: noon + since, until: noon + until, ...filter };
      const stats = await statsOf('counted', query, { ask, now: noon + 4 * hour, startedAt: noon });
      const where = `tenant = 'counted' AND accepted_at >= toStartOfMinute(fromUnixTimestamp64Milli({since:Int64})) AND accepted_at < toDateTime(ceil({until:Int64} / 60000) * 60, 'UTC')
        AND accepted_at < toDateTime({counted:Int64}, 'UTC') AND ({source:String} = '' OR source = {source:String}) AND ({model:String} = '' OR model = {model:String})`;
      const of = <T>(sql: string): Promise<T[]> => store.query<T>(sql, { source: '', model: '', counted: (noon + hour) / 1000, ...query });
      assert.deepEqual(
        stats.models.map(({ model, version, ok, dropped, dead_lettered }) => ({ model, version, ok, dropped, dead_lettered })),
        await of(`SELECT model, version, countIf(status = 'ok') AS ok, countIf(status = 'dropped') AS dropped, countIf(status = 'dead_lettered') AS dead_lettered FROM outcomes WHERE ${where} GROUP BY model, version ORDER BY model, ifNull(version, '')`),
      );
      const step = stats.throughput.step_seconds;
      assert.deepEqual(
        stats.throughput.series.map(({ at, ok }) => [Date.parse(at) / 1000, ok]),
        (await of<{ at: number; ok: number }>(`SELECT intDiv(toUnixTimestamp(accepted_at), ${step}) * ${step} AS at, countIf(status = 'ok') AS ok FROM outcomes WHERE ${where} GROUP BY at ORDER BY at`)).map(({ at, ok }) => [at, ok]),
      );
      assert.deepEqual(
        stats.endings.toSorted((a, b) => a.status.localeCompare(b.status)),
        await of(`SELECT status, stage, reason, count() AS count FROM outcomes WHERE ${where} AND status != 'ok' GROUP BY status, stage, reason ORDER BY toString(status)`),
      );
      const boxes = await of<{ label: string; count: number }>(`SELECT label, count() AS count FROM detections WHERE ${where.replace('accepted_at < toDateTime({counted:Int64}, \'UTC\')', 'true')} GROUP BY label ORDER BY count DESC, label`);
      assert.deepEqual(stats.classes.map(({ label, count }) => ({ label, count })), boxes.slice(0, 50));
      assert.equal(stats.confidence.reduce((sum, { count }) => sum + count, 0), boxes.reduce((sum, { count }) => sum + count, 0));
    }
  });

  test('a stored result: of this tenant alone; 202 only where something is to come', async () => {
    const result = await get<Result>(`/v1/results/${frame(' 5')}`);
    assert.deepEqual([result.status, result.outcomes.map(({ model, status }) => [model, status])], ['done', [['nanodet', 'ok']]]);
    assert.deepEqual(await get<Result>(`/v1/results/${frame(' 5')}?model=`), result, 'a blank field names no model');
    const dead = await get<Result>(`/v1/results/${frame(' 201')}?model=nanodet&accepted=${noon}`);
    assert.equal(dead.outcomes[0]!.error!.code, 'undecodable_image');
    await problemOf(await fetch(`${edge.url}/v1/results/${frame('other 1')}`), 404, 'not_found');
    await problemOf(await fetch(`${edge.url}/v1/results/${frame('never')}`), 404, 'not_found');
    const pending = await fetch(`${edge.url}/v1/results/${frame('soon')}?model=nanodet&accepted=${Date.now()}`);
    assert.deepEqual([pending.status, ((await pending.json()) as Result).outcomes], [202, [{ model: 'nanodet', status: 'pending' }]]);
    for (const accepted of [Date.now() - 4_000_000, Date.now() + 60_000]) await problemOf(await fetch(`${edge.url}/v1/results/${frame('long ago')}?model=nanodet&accepted=${accepted}`), 404, 'not_found');
    await problemOf(await fetch(`${edge.url}/v1/results/five`), 400, 'bad_request');
  });
});

describe('without a store', () => {
  let edge: EdgeUnderTest;
  before(async () => {
    edge = await startEdgeUnderTest({ stages: [] });
  });
  after(() => edge.close());

  test('503 that names the setting', async () => {
    for (const path of ['/v1/predictions', '/v1/stats', `/v1/results/${frame('x')}`]) assert.match((await problemOf(await fetch(edge.url + path), 503, 'store_unavailable')).detail!, /CLICKHOUSE_URL/, path);
  });

  test('what models there are needs none', async () => {
    const { models } = (await (await fetch(`${edge.url}/v1/models`)).json()) as { models: { name: string; current: string; labels: number; versions: { version: string; current: boolean }[] }[] };
    assert.deepEqual(models.map(({ name, current, labels }) => [name, current, labels]), [['efficientnet-lite0', '2', 1000], ['nanodet', '1', 80]]);
    assert.deepEqual(models[0]!.versions.map(({ version, current }) => [version, current]), [['1', false], ['2', true]]);
    assert.equal((await fetch(`${edge.url}/v1/models/nanodet`)).status, 200);
    await problemOf(await fetch(`${edge.url}/v1/models/resnet`), 404, 'not_found');
  });
});

test('a store that fails says nothing of itself; what is known here is answered all the same', async () => {
  const results = recentResults(systemClock);
  const ask = storeReader({ query: () => Promise.reject(new SaccadeError('query_failed', 'Unknown table at clickhouse-7 (UNKNOWN_TABLE)')) });
  const asked = (id: string) => resultOf({ tenant: 'default', id, model: undefined, accepted: undefined }, { ask, results, now: Date.now });
  await assert.rejects(asked(frame('a')), (error) => error instanceof SaccadeError && error.code === 'store_unavailable');
  results.accepted('default', frame('b'), 'nanodet');
  assert.equal((await asked(frame('b'))).status, 'pending');
  results.settled('default', row(1, { frame_id: frame('b') }));
  assert.equal((await asked(frame('b'))).status, 'done');
  assert.deepEqual(results.find('other', frame('b')), [], "another tenant's is not known");
});
