/** What came out, as the public views show it. */
import type { Store } from '../../../connectors/ports.ts';
import type { Deserved } from '../load/kinds.ts';

export interface OutcomeRow {
  readonly id: string;
  readonly frame_id: string;
  readonly model: string;
  readonly source: string;
  readonly status: Deserved;
  readonly stage: string | null;
  readonly reason: string | null;
}

export const outcomeRows = (store: Store): Promise<OutcomeRow[]> =>
  store.query('select toString(id) as id, toString(frame_id) as frame_id, model, source, toString(status) as status, stage, reason from outcomes');

/** Rows of a view minus its distinct identities, by view; each must be 0. */
const repeats: Readonly<Record<string, string>> = {
  predictions: 'select count() - uniqExact(id) as n from predictions',
  outcomes: 'select count() - uniqExact(frame_id, model) as n from outcomes',
  detections: 'select count() - uniqExact(prediction_id, index) as n from detections',
};

export async function duplicatesByView(store: Store): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const [view, sql] of Object.entries(repeats)) found[view] = Number((await store.query<{ n: number }>(sql))[0]!.n);
  return found;
}
