/** What became of a frame: from this edge's memory while it is hot, else from the store. */
import { SaccadeError } from '../../../connectors/errors.ts';
import type { Outcome, Result } from '../../../schemas/api/result.ts';
import type { RecentResults } from '../recent-results.ts';
import { type AskStore, remembered } from '../store-reader.ts';
import { columns, named, outcomeOf, outcomeOfStored, type StoredPrediction } from './stored-prediction.ts';

export interface ResultAsked {
  readonly tenant: string;
  /** Of the frame. */
  readonly id: string;
  /** Only this model's outcome; empty as in a form whose field was left blank: of all. */
  readonly model: string | undefined;
  /** Milliseconds since the epoch, from the address that came with the acceptance: it is evidence that there is something to come. */
  readonly accepted: number | undefined;
}

/** How long after its acceptance a frame may be on its way: an hour behind, a pipeline has long stopped accepting. */
export const pendingMs = 3_600_000;

const versions = (model: string | undefined): string => `
  SELECT ${columns} FROM predictions_raw
  WHERE tenant = {tenant:String} AND frame_id = {id:UUID}${model === undefined ? '' : ' AND model = {model:String}'}
  ORDER BY model LIMIT 64 ${remembered}`;

/**
 * Rows of one id are of one frame, so they all meet here: where each id is there once, no repeat has to be told from its original, and
 * FINAL, which merges every part that such an id could lie in, is spared.
 */
async function storedOf(tenant: string, id: string, model: string | undefined, ask: AskStore): Promise<StoredPrediction[]> {
  const rows = await ask<StoredPrediction>(versions(model), { tenant, id, ...(model !== undefined && { model }) });
  if (new Set(rows.map((row) => row.id)).size === rows.length) return rows;
  return ask<StoredPrediction>(`SELECT ${columns} FROM predictions_raw FINAL PREWHERE ${named(rows)} WHERE tenant = {tenant:String} ORDER BY model`, { tenant });
}

/** Throws not_found; store_unavailable where nothing is known here and the store cannot be asked. */
export async function resultOf({ tenant, id, model: given, accepted }: ResultAsked, { ask, results, now }: { readonly ask: AskStore; readonly results: RecentResults; now(): number }): Promise<Result> {
  const model = given || undefined;
  const here = results.find(tenant, id).filter((one) => model === undefined || one.model === model);
  const settled: Outcome[] = here.flatMap(({ prediction }) => (prediction ? [outcomeOf(prediction)] : []));
  const awaited = here.filter(({ prediction }) => !prediction).map((one) => one.model);
  if (settled.length > 0 && awaited.length === 0) return { id, status: 'done', outcomes: settled };

  const rows = await storedOf(tenant, id, model, ask).catch((error: unknown) => {
    // What is known here is an answer all the same.
    if (here.length > 0) return [];
    throw error;
  });
  const found = [...settled, ...rows.filter((row) => !settled.some((one) => one.model === row.model)).map(outcomeOfStored)];
  const pending = awaited.filter((name) => !found.some((one) => one.model === name));
  const claimed = found.length === 0 && accepted !== undefined && accepted <= now() && now() - accepted < pendingMs;
  if (pending.length === 0 && claimed && model !== undefined) pending.push(model);
  if (pending.length > 0) return { id, status: 'pending', outcomes: [...found, ...pending.map((name): Outcome => ({ model: name, status: 'pending' }))] };
  if (found.length > 0) return { id, status: 'done', outcomes: found };
  throw new SaccadeError('not_found', 'No outcome of this frame is stored, and this edge has not accepted it of late.');
}
