/** Rows as the sink stores them. */
import type { Headers, Store } from '../../connectors/ports.ts';
import { columns, table } from '../../processors/sink/row.ts';
import type { Prediction } from '../../schemas/records.ts';

/** In one insert. */
export const storePredictions = (store: Store, predictions: readonly Prediction[], headers: Headers = {}): Promise<void> =>
  store.inserter(table, columns)(predictions.map((prediction) => ({ prediction, headers })));
