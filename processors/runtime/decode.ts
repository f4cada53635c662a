/** From bytes in the log to the value a stage is given. */
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import type { LogRecord, SchemaRegistry } from '../../connectors/ports.ts';
import { describeTopic, isPlainValue } from '../../schemas/topics.ts';

export type Decoded =
  | { readonly value: unknown; readonly error: null }
  /** `value` is what can still be said of the record: its bytes, where plain bytes are allowed in the topic. */
  | { readonly value: unknown; readonly error: SaccadeError };

export async function decode(record: LogRecord, registry: SchemaRegistry): Promise<Decoded> {
  const { value, topic } = record;
  const description = describeTopic(topic);
  const plainBytes = description?.plainBytes ?? false;
  if (value === null || value.length === 0) {
    return { value: plainBytes ? Buffer.alloc(0) : undefined, error: new SaccadeError('payload_empty') };
  }
  if (isPlainValue(description, value)) return { value, error: null };
  try {
    return { value: await registry.decode(topic, value), error: null };
  } catch (error) {
    return { value: plainBytes ? value : undefined, error: asSaccadeError(error, 'undecodable_record') };
  }
}
