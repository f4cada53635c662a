/** A walk through the history against one question with FINAL, whatever repeats lie in the table. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { Store } from '../../connectors/ports.ts';
import { historyOf } from '../../processors/edge/history/history.ts';
import { resultOf } from '../../processors/edge/history/results.ts';
import { windowsBack } from '../../processors/edge/history/windows.ts';
import { recentResults } from '../../processors/edge/recent-results.ts';
import { storeReader } from '../../processors/edge/store-reader.ts';
import { systemClock } from '../../processors/runtime/clock.ts';
import type { History, HistoryQuery } from '../../schemas/api/history.ts';
import { frameIdFromProducer, predictionId } from '../../schemas/ids.ts';
import type { Prediction } from '../../schemas/records.ts';
import { prediction } from '../contracts/store.ts';
import { embeddedStore } from '../support/embedded-store.ts';
import { storePredictions } from '../support/rows.ts';

const hour = 3_600_000;
const day = 24 * hour;
const now = Date.UTC(2025, 5, 4, 12);

/** Row n of its tenant, so many milliseconds from now. */
function row(n: number, after: number, of: Partial<Prediction> = {}): Prediction {
  const { model = 'nanodet', tenant = 'default' } = of;
  const frame_id = frameIdFromProducer(tenant, 'camera', `${n}`);
  return prediction({ frame_id, id: predictionId(frame_id, model), tenant, model, captured_at: now + after, accepted_at: now + after + 5, completed_at: now + after + 50, ...of });
}
const late: Partial<Prediction> = { status: 'dead_lettered', stage: 'infer', reason: 'inference_failed', detections: [] };

describe('windows back in time', () => {
  const of = (since: number, until: number) => [...windowsBack({ since, until, now })];
  test('from the newest to the oldest there can be, without a gap', () => {
    for (const [since, until] of [[-Infinity, Infinity], [now - 3 * day, Infinity], [now - hour, now], [-Infinity, now - 400 * day], [now - 31 * day, now + 5 * day], [now + day, now + 2 * day]] as const) {
      const windows = of(since, until);
      assert.equal(windows[0]!.to, until);
      assert.equal(windows.at(-1)!.from, since);
      for (const [i, { to }] of windows.entries()) if (i > 0) assert.equal(to, windows[i - 1]!.from);
    }
  });
  test('the first is a day, and ends where time does: a clock may be ahead', () => assert.deepEqual(of(-Infinity, Infinity)[0], { from: now - day, to: Infinity }));
});

describe('pages over repeats', { timeout: 120_000 }, () => {
  let store: Store;
  embeddedStore('pages', (opened) => (store = opened));

  /** Ids as pages of `limit` show them, up to so many pages. */
  async function walk(tenant: string, limit: number, query: Partial<HistoryQuery> = {}, most = Infinity): Promise<string[]> {
    const ids: string[] = [];
    let cursor: string | undefined;
    for (let pages = 0; pages < most; pages++) {
      const { items, next }: History = await historyOf(tenant, { limit, ...query, ...(cursor !== undefined && { cursor }) }, { ask: storeReader(store), now });
      ids.push(...items.map(({ id }) => id));
      if (next === null) break;
      assert.equal(items.length, limit, 'a page with another behind it is full');
      cursor = next;
    }
    return ids;
  }
  const shown = async (tenant: string, where = 'true'): Promise<string[]> =>
    (await store.query<{ shown: string }>(`SELECT toString(id) AS shown FROM predictions_raw FINAL WHERE tenant = {tenant:String} AND (${where}) ORDER BY captured_at DESC, predictions_raw.id DESC`, { tenant })).map((one) => one.shown);

  describe('of random rows, from a day ahead to a year ago, a third of them repeated with other outcomes and at other times', () => {
    const tenant = 'random';
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    before(async () => {
      const spans = [hour, day, 2 * day, 40 * day, 365 * day];
      const made = Array.from({ length: 240 }, (_, n) => row(n, day - random(spans[random(spans.length)]!) - random(2) * day, { tenant, source: `camera-${n % 3}`, ...(random(2) === 0 ? late : {}) }));
      // Many at one moment.
      const all = made.map((one, n) => (n % 6 === 0 ? { ...one, captured_at: now - hour } : one));
      await storePredictions(store, all);
      for (let round = 0; round < 3; round++) {
        const repeats = all.filter(() => random(3) === 0).map((one) => {
          // No two of an id lie further apart than a day.
          const moved = random(2) === 0 ? 0 : random(day) - day / 2;
          return { ...one, captured_at: one.captured_at + moved, accepted_at: one.accepted_at + moved, ...(random(2) === 0 ? late : { status: 'ok', stage: null, reason: null }) } satisfies Partial<Prediction> as Prediction;
        });
        await storePredictions(store, repeats);
      }
    });

    const recent = `captured_at >= fromUnixTimestamp64Milli(${now - 3 * day}) AND captured_at < fromUnixTimestamp64Milli(${now})`;
    const questions: [string, Partial<HistoryQuery>, string][] = [
      ['all of it', {}, 'true'],
      ['a source', { source: 'camera-1' }, "source = 'camera-1'"],
      ['dead letters', { status: 'dead_lettered' }, "status = 'dead_lettered'"],
      ['a label', { label: 'person', min_score: 0.5 }, "has(detections.label, 'person')"],
      ['three days', { since: now - 3 * day, until: now }, recent],
      ['dead letters of three days', { since: now - 3 * day, until: now, status: 'dead_lettered' }, `${recent} AND status = 'dead_lettered'`],
      ['what is not there', { label: 'unicorn' }, 'false'],
    ];
    for (const [what, query, where] of questions)
      // One at a time through all of it would be a thousand questions.
      for (const [limit, pages] of [[1, 12], [7, Infinity], [500, Infinity]] as const)
        test(`${what}, ${limit} at a time`, async () => assert.deepEqual(await walk(tenant, limit, query, pages), (await shown(tenant, where)).slice(0, limit * pages)));
  });

  test('repeats that take up whole pages of what matches are passed over', async () => {
    const tenant = 'replayed';
    const failed = Array.from({ length: 30 }, (_, n) => row(n, -n * 1000, { tenant, ...late }));
    await storePredictions(store, failed);
    // All but the oldest two were answered after all, at the same times.
    await storePredictions(store, failed.slice(0, 28).map((one, n) => row(n, -n * 1000, { tenant, id: one.id })));
    assert.deepEqual(await walk(tenant, 3, { status: 'dead_lettered' }), failed.slice(28).map(({ id }) => id));
    assert.deepEqual(await walk(tenant, 3), failed.map(({ id }) => id));
  });

  test('a result shows what won, of each model', async () => {
    const tenant = 'results';
    const [failed, other] = [row(1, 0, { tenant, ...late }), row(1, 0, { tenant, model: 'efficientnet-lite0' })];
    await storePredictions(store, [failed, other]);
    await storePredictions(store, [row(1, 10 * day, { tenant })]);
    const of = async (model?: string) =>
      (await resultOf({ tenant, id: failed.frame_id, model, accepted: undefined }, { ask: storeReader(store), results: recentResults(systemClock), now: () => now })).outcomes.map((one) => [one.model, one.status]);
    assert.deepEqual(await of(), [['efficientnet-lite0', 'ok'], ['nanodet', 'ok']]);
    assert.deepEqual(await of('nanodet'), [['nanodet', 'ok']]);
    assert.deepEqual(await of('efficientnet-lite0'), [['efficientnet-lite0', 'ok']]);
  });
});
