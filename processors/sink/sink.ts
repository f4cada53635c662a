/** The end of the chain: every prediction, drop and dead letter becomes one row of the store. */
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import type { Clock, Store } from '../../connectors/ports.ts';
import type { Prediction } from '../../schemas/records.ts';
import { unanswered } from '../../schemas/unanswered.ts';
import { emit, failed, type BatchPolicy, type Input, type Outcome, type Stage } from '../stage.ts';
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

    async process(inputs, signal) {
      const outcomes = new Map<Input<Prediction>, Outcome>();
      await insert(inputs);
      return inputs.map((input) => outcomes.get(input)!);

      /** In one insert, else in halves until the row at fault stands alone: its neighbours are not to go down with it. */
      async function insert(part: readonly Input<Prediction>[]): Promise<void> {
        if (part.length === 0) return;
        const all = (outcome: Outcome): void => part.forEach((input) => outcomes.set(input, outcome));
        if (signal.aborted) return all(failed(new SaccadeError('store_unavailable', 'The sink is stopping.')));
        try {
          await insertRows(part.map(({ value, headers }): Row => ({ prediction: value, headers })));
          trouble = null;
          insertedAt = clock.now();
          all(emit());
        } catch (cause) {
          const error = asSaccadeError(cause);
          if (error.retryable) trouble = error.message;
          if (error.code !== 'rejected_by_store') return all(failed(error));
          if (part.length === 1) return all(failed(await recordRefusal(part[0]!, error)));
          const half = part.length >> 1;
          await insert(part.slice(0, half));
          await insert(part.slice(half));
        }
      }
    },
  };
}
