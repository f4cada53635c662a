/** Stores a batch so that a row which the store refuses does not take its neighbours along. */
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import { emit, failed, type Input, type Outcome } from '../stage.ts';

export interface InsertOptions<T> {
  insert(inputs: readonly Input<T>[]): Promise<void>;
  /** Told of an environment's fault, and (null) of success. */
  trouble(error: SaccadeError | null): void;
  /** What becomes of the one input that was refused; refused for this reason unless given. */
  refused?(input: Input<T>, error: SaccadeError): Promise<SaccadeError>;
  readonly signal: AbortSignal;
}

/** One outcome for each input, in order: in one insert, else in halves until the row at fault stands alone. */
export async function insertEach<T>(inputs: readonly Input<T>[], { insert, trouble, refused = async (_input, error) => error, signal }: InsertOptions<T>): Promise<Outcome[]> {
  const all = (outcome: Outcome): Outcome[] => inputs.map(() => outcome);
  if (inputs.length === 0) return [];
  if (signal.aborted) return all(failed(new SaccadeError('store_unavailable', 'The sink is stopping.')));
  try {
    await insert(inputs);
    trouble(null);
    return all(emit());
  } catch (cause) {
    const error = asSaccadeError(cause);
    if (error.retryable) trouble(error);
    if (error.code !== 'rejected_by_store') return all(failed(error));
    if (inputs.length === 1) return [failed(await refused(inputs[0]!, error))];
    const half = inputs.length >> 1;
    const options = { insert, trouble, refused, signal };
    return [...(await insertEach(inputs.slice(0, half), options)), ...(await insertEach(inputs.slice(half), options))];
  }
}
