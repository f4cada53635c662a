/**
 * The registry without a registry: the schemas of this source tree, each under an id made of its fingerprint, so that every
 * process of the same version agrees on it. Beside the in-process log, or a Kafka without a registry.
 */
import avro, { type Schema } from 'avsc';
import { avroSchema, descriptions } from '../../schemas/topics.ts';
import { SaccadeError } from '../errors.ts';
import type { SchemaRegistry } from '../ports.ts';
import { schemaRegistry, type SchemaRegistryOptions } from './schema-registry.ts';

export interface FileRegistryOptions extends SchemaRegistryOptions {
  /** Texts of earlier versions, by the schema's name: still readable, and what the current one must be compatible with. */
  readonly earlier?: Readonly<Record<string, readonly string[]>>;
}

export function fileRegistry({ earlier = {}, ...options }: FileRegistryOptions = {}): SchemaRegistry {
  const current = options.schema ?? avroSchema;
  const names = new Set(descriptions.flatMap(({ schema }) => (schema === null ? [] : [schema])));
  const texts = [...names].flatMap((name) => [current(name), ...(earlier[name] ?? [])]);
  const byId = new Map(texts.map((text) => [fingerprint(text), JSON.parse(text) as Schema]));
  return schemaRegistry(
    {
      kind: 'files',
      async idOf(subject, text, name) {
        for (const version of earlier[name] ?? []) requireCompatible(subject, text, version);
        return fingerprint(text);
      },
      async schemaOf(id) {
        const schema = byId.get(id);
        if (schema === undefined) throw new SaccadeError('undecodable_record', `No schema file has the id ${id}.`);
        return schema;
      },
    },
    options,
  );
}

/** 31 bits of the SHA-256 of the schema's canonical form: documentation and formatting do not change it. */
function fingerprint(text: string): number {
  return avro.Type.forSchema(JSON.parse(text) as Schema).fingerprint('sha256').readUInt32BE(0) >>> 1;
}

/** BACKWARD: what was written before can be read now. */
function requireCompatible(subject: string, text: string, earlier: string): void {
  try {
    avro.Type.forSchema(JSON.parse(text) as Schema).createResolver(avro.Type.forSchema(JSON.parse(earlier) as Schema));
  } catch (error) {
    throw new SaccadeError('incompatible_schema', `${subject}: ${(error as Error).message}.`, error);
  }
}
