/** Avro types whose records are plain objects, and whose large bytes are views. */
import avro, { type Schema, type Type, type types } from 'avsc';
import { SaccadeError } from '../errors.ts';

/** Throws undecodable_record for a schema that Avro does not accept. */
export function avroType(schema: Schema): Type {
  let type: Type;
  try {
    type = avro.Type.forSchema(schema);
  } catch (error) {
    throw new SaccadeError('undecodable_record', `Its schema is invalid: ${(error as Error).message}.`, error);
  }
  makePlain(type, new Set());
  return type;
}

/** What avsc 5.7.9, which is pinned, reads from; `pos` moves. */
interface Tap {
  readonly buf: Buffer;
  pos: number;
  readLong(): number;
  readFixed(length: number): Buffer | undefined;
}

/** From here on a view: memory for pixels is otherwise cleared, filled and thrown away for each record, beside the fetch they lie in. */
const viewBytes = 16 * 1024;

function readBytes(tap: Tap): Buffer | undefined {
  const length = tap.readLong();
  // Beyond the end there is nothing, as in the library: whoever decodes asks whether the end was passed.
  const { pos } = tap;
  if (length < viewBytes || pos + length > tap.buf.length) return tap.readFixed(length);
  tap.pos = pos + length;
  return tap.buf.subarray(pos, pos + length);
}

// Types are frozen once they are made, so all of them at once.
Object.assign(avro.types.BytesType.prototype, { _read: readBytes });

/** Records otherwise come as instances of a class that the library makes up, unequal to any object with the same fields. */
function makePlain(type: Type, seen: Set<Type>): void {
  if (seen.has(type)) return;
  seen.add(type);
  const { typeName } = type;
  if (typeName === 'record') {
    const record = type as types.RecordType;
    (record.recordConstructor as unknown as { prototype: object }).prototype = Object.prototype;
    for (const field of record.fields) makePlain(field.type, seen);
  } else if (typeName.startsWith('union')) {
    for (const branch of (type as types.UnwrappedUnionType).types) makePlain(branch, seen);
  } else if (typeName === 'array') {
    makePlain((type as types.ArrayType).itemsType, seen);
  } else if (typeName === 'map') {
    makePlain((type as types.MapType).valuesType, seen);
  }
}
