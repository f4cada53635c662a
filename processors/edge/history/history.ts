/** A page of what has been seen, newest first. */
import type { History, HistoryQuery } from '../../../schemas/api/history.ts';
import type { AskStore } from '../store-reader.ts';
import { cursorOf, placeOf } from './cursor.ts';
import { columns, seenOfStored, type StoredPrediction } from './stored-prediction.ts';

/** Each where its filter is given: fixed text, whose values the store binds. */
const conditions: Record<Exclude<keyof HistoryQuery, 'limit'>, string> = {
  source: 'source = {source:String}',
  model: 'model = {model:String}',
  label: '(has(labels.label, {label:String}) OR has(detections.label, {label:String}))',
  status: 'status = {status:String}',
  min_score: 'arrayMax(arrayPushBack(arrayConcat(labels.score, detections.score), toFloat32(-1))) >= toFloat32({min_score:Float64})',
  since: "captured_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')",
  until: "captured_at < fromUnixTimestamp64Milli({until:Int64}, 'UTC')",
  cursor: "(predictions_raw.captured_at, predictions_raw.id) < (fromUnixTimestamp64Milli({cursor_ms:Int64}, 'UTC'), {cursor_id:UUID})",
};
const scoreOfLabel = `arrayExists((name, score) -> name = {label:String} AND score >= toFloat32({min_score:Float64}),
  arrayConcat(labels.label, detections.label), arrayConcat(labels.score, detections.score))`;

type Placed = Pick<StoredPrediction, 'id' | 'captured_ms'>;

/** Throws bad_request for a cursor that is none, store_unavailable. */
export async function historyOf(tenant: string, query: HistoryQuery, ask: AskStore): Promise<History> {
  const { limit, cursor, ...filters } = query;
  const place = cursor === undefined ? null : placeOf(cursor);
  const given = (Object.keys(conditions) as (keyof typeof conditions)[]).filter((name) => query[name] !== undefined);
  const where = given.map((name) => (name === 'min_score' && query.label !== undefined ? scoreOfLabel : conditions[name]));
  const order = 'ORDER BY predictions_raw.captured_at DESC, predictions_raw.id DESC';
  // First which rows, from the few columns that say so, then all of those: FINAL reads whatever it is asked for of every row in question.
  const found = await ask<Placed>(
    `SELECT toString(id) AS id, toUnixTimestamp64Milli(captured_at) AS captured_ms FROM predictions_raw FINAL
     WHERE ${['tenant = {tenant:String}', ...where].join('\n       AND ')}
     ${order} LIMIT {rows:UInt32}`,
    // One more than is shown tells whether there is a next page.
    { tenant, ...filters, rows: limit + 1, ...(place && { cursor_ms: place.capturedMs, cursor_id: place.id }) },
  );
  const page = found.slice(0, limit);
  const [first, last] = [page[0], page.at(-1)];
  if (!first || !last) return { items: [], next: null };
  // Ids in the text, which travels as a body: parameters travel in the URL, whose length servers bound. Before FINAL, which goes by them.
  const rows = await ask<StoredPrediction>(
    `SELECT ${columns} FROM predictions_raw FINAL PREWHERE predictions_raw.id IN (${page.map(({ id }) => `'${id}'`).join(', ')})
     WHERE tenant = {tenant:String} AND captured_at >= fromUnixTimestamp64Milli({first:Int64}, 'UTC') AND captured_at <= fromUnixTimestamp64Milli({last:Int64}, 'UTC')
     ${order}`,
    { tenant, first: last.captured_ms, last: first.captured_ms },
  );
  return { items: rows.map(seenOfStored), next: found.length > limit ? cursorOf({ capturedMs: last.captured_ms, id: last.id }) : null };
}
