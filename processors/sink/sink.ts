/** The end of the chain: every prediction, drop and dead letter becomes one row of the store. */
import { asSaccadeError, type SaccadeError } from '../../connectors/errors.ts';
import type { Clock, Store } from '../../connectors/ports.ts';
import type { Prediction } from '../../schemas/records.ts';
import { unanswered } from '../../schemas/unanswered.ts';
import type { BatchPolicy, Input, Stage } from '../stage.ts';
import { insertEach } from './insert-each.ts';
import { columns, table, type Row } from './row.ts';

export interface SinkOptions {
  readonly store: Store;
  readonly clock: Pick<Clock, 'now'>;
  readonly batch: BatchPolicy & { readonly steadyWaitMs: number };
}

/** Reads `predictions`, and has no outputs: an input emits nothing once its row is stored. */
export function sinkStage({ store, clock, batch: { steadyWaitMs, ...batch } }: SinkOptions): Stage<Prediction> {
  let trouble: string | null = null;
  let insertedAt = Number.NEGATIVE_INFINITY;
  const insertRows = store.inserter(table, columns);

  /**
   * The row that says that this one was refused, so that its frame is accounted for in the store too. Answers why the input
   * failed: as given, or the environment's fault that kept the refusal from being written.
   */
  async function recordRefusal({ value, headers }: Input<Prediction>, refusal: SaccadeError): Promise<SaccadeError> {
    const ending = { status: 'dead_lettered', stage: 'sink', reason: refusal.code, detail: refusal.detail, at: value.completed_at } as const;
    const row = { ...unanswered(value.frame_id, { ...value, deadline: null, reply: null }, value.model, ending), id: value.id };
    try {
      await insertRows([{ prediction: row, headers }]);
      return refusal;
    } catch (cause) {
      const error = asSaccadeError(cause);
      // Not even its identity fits the table: then its dead letter alone speaks for it.
      return error.retryable ? error : refusal;
    }
  }

  return {
    name: 'sink',
    batch: {
      ...batch,
      /** The first row after a pause is soon in SQL; in a stream, rows gather. */
      get waitMs() {
        return Math.abs(clock.now() - insertedAt) < 2 * steadyWaitMs ? Math.max(batch.waitMs, steadyWaitMs) : batch.waitMs;
      },
    },
    start: () => store.migrate(),
    trouble: () => trouble,

    process: (inputs, signal) =>
      insertEach(inputs, {
        async insert(part) {
          await insertRows(part.map(({ value, headers }): Row => ({ prediction: value, headers })));
          insertedAt = clock.now();
        },
        trouble: (error) => void (trouble = error?.message ?? null),
        refused: recordRefusal,
        signal,
      }),
  };
}
