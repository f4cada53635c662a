/** The Confluent wire format: a zero byte, the schema's id in four bytes, the Avro body. */
import type { Type } from 'avsc';
import { SaccadeError } from '../errors.ts';

export const headerBytes = 5;
const scratch = Buffer.allocUnsafeSlow(65_536);

/** Throws internal, naming the field, when the value is not of the type: a fault of ours, not of the record. */
export function writeWire(type: Type, id: number, value: unknown): Buffer {
  try {
    scratch[0] = 0;
    scratch.writeInt32BE(id, 1);
    const end = type.encode(value, scratch, headerBytes);
    if (end >= 0) return Buffer.from(scratch.subarray(0, end));
    // Too large: the answer is how many bytes were missing, and nothing large was copied yet. Written in place, it is copied once.
    const exact = Buffer.allocUnsafe(scratch.length - end);
    scratch.copy(exact, 0, 0, headerBytes);
    type.encode(value, exact, headerBytes);
    return exact;
  } catch (error) {
    const paths: string[] = [];
    type.isValid(value, { errorHook: (path: string[]) => paths.push(path.join('.')) });
    throw new SaccadeError('internal', `A value is no ${type.name ?? 'record'}: ${paths.join(', ') || (error as Error).message}.`, error);
  }
}

export const looksWired = (bytes: Buffer): boolean => bytes[0] === 0 && bytes.length >= headerBytes;

/** The id of the schema it was written with. Throws undecodable_record. */
export function wireId(bytes: Buffer): number {
  if (!looksWired(bytes)) throw new SaccadeError('undecodable_record', 'It is not in the Confluent wire format.');
  return bytes.readInt32BE(1);
}
