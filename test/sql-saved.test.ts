import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { savedQueries, savedQuery } from '../processors/sql/saved.ts';
import type { Detection, Prediction } from '../schemas/records.ts';
import { prediction } from './contracts/store.ts';
import { type PeopleSql, peopleSql, secret } from './support/people-sql.ts';

const [minute, hour, day] = [60_000, 3_600_000, 86_400_000];
/** In the middle of the hour before this one, so that no test runs across its end. */
const base = Math.floor(Date.now() / hour) * hour - hour / 2;
const box = (label: string, score: number): Detection => ({ class_id: 1, label, score, x1: 0, y1: 0, x2: 1, y2: 1 });
const at = (time: number, of: Partial<Prediction>): Prediction => prediction({ tenant: 'mine', source: 'gate', captured_at: time - 100, accepted_at: time, completed_at: time, ...of });

const rows = (): Prediction[] => [
  at(base, { detections: [box('person', 0.9), box('cat', 0.3)], timings_ms: { decode: 1, infer: 50 } }),
  at(base + 5 * minute, { detections: [box('person', 0.4)] }),
  at(base + 6 * minute, { status: 'dropped', stage: 'infer', reason: 'deadline', detections: [], version: null, timings_ms: {} }),
  at(base - 2 * day, { source: 'yard', detections: [box('dog', 0.8)] }),
  at(base - 3 * day, { detections: [box('person', 0.7)] }),
];

type Row = Readonly<Record<string, unknown>>;

describe('the saved queries', { timeout: 180_000 }, () => {
  let people: PeopleSql;
  peopleSql('saved', (made) => (people = made), rows);

  async function ask(name: string, given: Record<string, unknown> = {}): Promise<Row[]> {
    const { sql, params } = savedQuery(name, given);
    const text = await people.answer(sql, { params, format: 'JSONEachRow' });
    assert.ok(!text.includes(secret));
    return text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Row);
  }
  const like = (actual: Row | undefined, expected: Row): void => {
    assert.ok(actual, `a row like ${JSON.stringify(expected)}`);
    for (const [key, value] of Object.entries(expected)) assert.equal(`${actual[key] as string}`, `${value as string}`, `${key} of ${JSON.stringify(actual)}`);
  };

  const expected: Readonly<Record<string, { readonly given?: Record<string, unknown>; readonly first: Row; readonly rows: number; readonly last?: Row }>> = {
    'busiest-camera-by-hour': { first: { busiest: 'gate', frames: 1 }, last: { busiest: 'gate', frames: 3 }, rows: 3 },
    'class-mix': { first: { source: 'yard', label: 'dog', now_share: 1, before_share: 0 }, last: { label: 'cat', now_n: 1, now_share: 0.25 }, rows: 3 },
    crowd: { first: { most: 1, average: 1 }, rows: 1 },
    'label-next': { first: { source: 'gate', label: 'person', confidence: 0.4 }, rows: 1 },
    'latency-by-version': { first: { model: 'nanodet', version: 1, answers: 4 }, rows: 1 },
    'new-classes': { first: { label: 'cat', by_source: 'gate', times: 1 }, rows: 1 },
    'seen-together': { first: { one: 'cat', other: 'person', pictures: 1 }, rows: 1 },
    'silent-cameras': { first: { source: 'yard', frames: 1 }, last: { source: 'gate', frames: 4 }, rows: 2 },
    'slowest-phase': { given: { minutes: 180 }, first: { model: 'nanodet', phase: 'infer', n: 2 }, last: { phase: 'decode' }, rows: 2 },
    unanswered: { first: { source: 'gate', status: 'dropped', stage: 'infer', reason: 'deadline', frames: 1 }, rows: 1 },
    uptime: { first: { source: 'yard', minutes: 1 }, last: { source: 'gate', minutes: 4 }, rows: 2 },
  };

  test('each of them has an answer to expect', () => assert.deepEqual(savedQueries().map(({ name }) => name), Object.keys(expected).sort()));

  for (const [name, { given = {}, first, last, rows: count }] of Object.entries(expected)) {
    test(name, async () => {
      const answer = await ask(name, given);
      assert.equal(answer.length, count, JSON.stringify(answer));
      like(answer[0], first);
      if (last) like(answer.at(-1), last);
    });
  }

  test('the README names each', () => {
    const readme = readFileSync('README.md', 'utf8');
    for (const { name } of savedQueries()) assert.ok(readme.includes(`\`${name}\``), name);
  });

  test('what can be given is what the query takes', () => {
    // Not what every object has.
    assert.throws(() => savedQuery('crowd', { toString: 1 }), { code: 'bad_request' });
    for (const { name, params, sql, about } of savedQueries()) {
      const taken = new Set([...sql.matchAll(/\{(\w+):/g)].map((match) => match[1]));
      assert.deepEqual(new Set(Object.keys(params)), taken, name);
      assert.ok(about.endsWith('.'), name);
    }
  });
});
