/** Values as bytes, in the wire format's shape (magic 0, 4-byte schema id, body). The body is V8's own: this is about order, not about Avro. */
import { deserialize, serialize } from 'node:v8';
import { SaccadeError } from '../../../connectors/errors.ts';

const prefix = Buffer.from([0, 0, 0, 0, 1]);

export const encodeValue = (value: unknown): Buffer => Buffer.concat([prefix, serialize(value)]);

/** Throws undecodable_record. */
export function decodeValue(bytes: Buffer): unknown {
  if (!bytes.subarray(0, prefix.length).equals(prefix)) throw new SaccadeError('undecodable_record', 'no wire format');
  try {
    return deserialize(bytes.subarray(prefix.length));
  } catch (error) {
    throw new SaccadeError('undecodable_record', String(error), error);
  }
}
