/** A sink whose records are rows of one table as they are: windows of drift, alerts. */
import type { Column, Store } from '../../connectors/ports.ts';
import type { BatchPolicy, Stage } from '../stage.ts';
import { insertEach } from './insert-each.ts';

export interface TableSinkOptions<T> {
  readonly name: string;
  readonly store: Pick<Store, 'inserter' | 'migrate'>;
  readonly batch: BatchPolicy;
  readonly table: string;
  readonly columns: readonly Column<T>[];
}

/** It has no outputs: an input emits nothing once its row is stored. The table makes one of repeats. */
export function tableSink<T>({ name, store, batch, table, columns }: TableSinkOptions<T>): Stage<T> {
  let trouble: string | null = null;
  const insert = store.inserter(table, columns);
  return {
    name,
    batch,
    start: () => store.migrate(),
    trouble: () => trouble,
    process: (inputs, signal) =>
      insertEach(inputs, {
        insert: (part) => insert(part.map(({ value }) => value)),
        trouble: (error) => void (trouble = error?.message ?? null),
        signal,
      }),
  };
}
