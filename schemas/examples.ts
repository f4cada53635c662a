/** The example records, as the values of the topics. */
import { readFileSync } from 'node:fs';

type AvroNode = string | readonly AvroNode[] | { readonly type: AvroNode; readonly items?: AvroNode; readonly fields?: readonly { name: string; type: AvroNode }[] };

/** The example of a schema of schemas/avro, with Buffers where the file has base64. */
export function exampleRecord(name: string): Record<string, unknown> {
  const schema = JSON.parse(readFileSync(new URL(`./avro/${name}.avsc`, import.meta.url), 'utf8')) as AvroNode;
  const json: unknown = JSON.parse(readFileSync(new URL(`./examples/${name}.json`, import.meta.url), 'utf8'));
  return revive(json, schema) as Record<string, unknown>;
}

function revive(value: unknown, type: AvroNode): unknown {
  if (value === null) return null;
  if (Array.isArray(type)) return type.filter((branch) => branch !== 'null').reduce<unknown>((v, branch) => revive(v, branch), value);
  if (type === 'bytes') return Buffer.from(value as string, 'base64');
  if (typeof type !== 'object') return value;
  const node = type as Exclude<AvroNode, string | readonly AvroNode[]>;
  if (node.fields) {
    const record = value as Record<string, unknown>;
    return Object.fromEntries(node.fields.filter(({ name }) => name in record).map((field) => [field.name, revive(record[field.name], field.type)]));
  }
  if (node.items !== undefined) return (value as unknown[]).map((item) => revive(item, node.items!));
  return typeof node.type === 'string' ? value : revive(value, node.type);
}
