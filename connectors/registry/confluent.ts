/** A registry that speaks Confluent's API: Confluent's own, Apicurio, Karapace and the like. */
import { COMPATIBILITY, SchemaRegistry as Client, SchemaType } from '@kafkajs/confluent-schema-registry';
import type { Schema, Type } from 'avsc';
import { SaccadeError } from '../errors.ts';
import type { SchemaRegistry } from '../ports.ts';
import { compatibilityLevels } from './compatibility.ts';
import { withFieldNames } from './field-names.ts';
import { schemaRegistry, type SchemaRegistryOptions } from './schema-registry.ts';

export interface ConfluentRegistryOptions extends SchemaRegistryOptions {
  /** Base URL, such as the one Confluent's clients are given. */
  readonly url: string;
  readonly auth?: { readonly username: string; readonly password: string };
}

export function confluentRegistry({ url, auth, ...options }: ConfluentRegistryOptions): SchemaRegistry {
  const client = new Client({ host: url, clientId: 'saccade', ...(auth ? { auth: { ...auth } } : {}) });
  const levels = compatibilityLevels(url, auth);

  /** Also finds a schema that is not the subject's latest: a process of the former version may start again beside a new one. */
  const registered = async (subject: string, schema: string): Promise<number | null> => {
    try {
      return await client.getRegistryIdBySchema(subject, { type: SchemaType.AVRO, schema });
    } catch (error) {
      // The client wraps a 404, and only that, in an error without a status.
      if (statusOf(error) === null) return null;
      throw registryError(error, subject);
    }
  };

  const register = async (subject: string, schema: string): Promise<number> => {
    const level = await levels.settle(subject);
    const { id } = await client.register({ type: SchemaType.AVRO, schema }, { subject, compatibility: level as COMPATIBILITY });
    return id;
  };

  return schemaRegistry(
    {
      kind: 'registry',
      async idOf(subject, schema) {
        const there = await registered(subject, schema);
        if (there !== null) return there;
        try {
          return await register(subject, schema);
        } catch (error) {
          // Another process may have registered the same schema a moment before, which some registries answer with an error.
          const meanwhile = await registered(subject, schema).catch(() => null);
          if (meanwhile !== null) return meanwhile;
          throw error instanceof SaccadeError ? error : registryError(error, subject, schema);
        }
      },
      async schemaOf(id) {
        let schema;
        try {
          schema = await client.getSchema(id);
        } catch (error) {
          if (statusOf(error) === 404) throw new SaccadeError('undecodable_record', `The registry knows no schema ${id}.`, error);
          throw registryError(error, `schema ${id}`);
        }
        if (!('createResolver' in schema)) throw new SaccadeError('undecodable_record', `Schema ${id} is not Avro.`);
        // As JSON, because the client may have brought another copy of the Avro library.
        return (schema as unknown as Type).schema({ exportAttrs: true }) as Schema;
      },
    },
    options,
  );
}

const statusOf = (error: unknown): number | null =>
  typeof error === 'object' && error !== null && 'status' in error && typeof error.status === 'number' ? error.status : null;

/** 409: not compatible; 422: not a schema. A broken connection comes as 400 from the client's HTTP layer. */
function registryError(error: unknown, subject: string, schema = ''): SaccadeError {
  const status = statusOf(error);
  const reason = error instanceof Error ? error.message.replace(/^saccade - /, '') : String(error);
  if (status === 409 || status === 422) return new SaccadeError('incompatible_schema', `${subject}: ${withFieldNames(reason, schema)}`, error);
  return new SaccadeError('registry_unavailable', `${subject}: ${reason}`, error);
}
