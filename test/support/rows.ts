/** Rows as the sink stores them. */
import type { Headers, Store } from '../../connectors/ports.ts';
import { columns, table } from '../../processors/sink/row.ts';
import type { Prediction } from '../../schemas/records.ts';

/** In one insert. */
export const storePredictions = (store: Store, predictions: readonly Prediction[], headers: Headers = {}): Promise<void> =>
  store.inserter(table, columns)(predictions.map((prediction) => ({ prediction, headers })));

/** As a sink stored them that knew only the columns which this table has so far. */
export async function storeAsBefore(store: Store, predictions: readonly Prediction[]): Promise<void> {
  const there = await store.query<{ name: string }>(`SELECT name FROM system.columns WHERE database = currentDatabase() AND table = '${table}'`);
  const known = columns.filter(({ name }) => there.some((column) => column.name === name));
  await store.inserter(table, known)(predictions.map((prediction) => ({ prediction, headers: {} })));
}
