/** Rows as the sink stores them. */
import type { Headers, Store } from '../../connectors/ports.ts';
import { columns, table } from '../../processors/sink/row.ts';
import type { Prediction } from '../../schemas/records.ts';

/** In one insert. `known`: the columns that a table of an earlier version has. */
export const storePredictions = (store: Store, predictions: readonly Prediction[], headers: Headers = {}, known?: ReadonlySet<string>): Promise<void> =>
  store.inserter(table, known ? columns.filter(({ name }) => known.has(name)) : columns)(predictions.map((prediction) => ({ prediction, headers })));
