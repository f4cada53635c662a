import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { readFileSync } from 'node:fs';
import type { SaccadeError } from '../connectors/errors.ts';
import { confluentRegistry } from '../connectors/registry/confluent.ts';
import { fileRegistry } from '../connectors/registry/files.ts';
import { exampleRecord } from '../schemas/examples.ts';
import { avroSchema } from '../schemas/topics.ts';
import { registryContract, schemaNames, type Versions } from './contracts/registry.ts';
import { needsRegistry, registryUrl } from './support/components.ts';

const textOf = ({ current = {} }: Versions) => (name: string): string => current[name] ?? avroSchema(name);

registryContract('files', (versions = {}) => fileRegistry({ schema: textOf(versions), earlier: versions.earlier ?? {} }), { skip: false });
registryContract('Apicurio', (versions = {}) => confluentRegistry({ url: registryUrl!, schema: textOf(versions) }), { skip: needsRegistry });

/** The fields of the interfaces of records.ts, those of what they extend included. */
const interfaces = (): Map<string, Map<string, string>> => {
  const text = readFileSync(new URL('../schemas/records.ts', import.meta.url), 'utf8');
  const found = new Map<string, Map<string, string>>();
  for (const [, name, parent, body] of text.matchAll(/export interface (\w+)(?: extends (\w+))? \{([^}]*)\}/g)) {
    const own = [...body!.matchAll(/^ {2}(\w+): (.+);$/gm)].map((field): [string, string] => [field[1]!, field[2]!]);
    found.set(name!, new Map([...(parent ? found.get(parent)! : []), ...own]));
  }
  return found;
};

const sorted = (map: ReadonlyMap<string, string>): string[] => [...map].map((pair) => pair.join(': ')).sort();

describe('schemas', () => {
  const inTypeScript = (type: unknown): string => {
    if (Array.isArray(type)) return `${inTypeScript(type.find((branch) => branch !== 'null'))} | null`;
    if (typeof type === 'string') return { bytes: 'Buffer', string: 'string', boolean: 'boolean' }[type] ?? 'number';
    const { type: kind, items, values, name } = type as Record<string, unknown>;
    if (kind === 'array') return `${inTypeScript(items)}[]`;
    if (kind === 'map') return `Record<string, ${inTypeScript(values)}>`;
    return name === undefined ? inTypeScript(kind) : String(name);
  };

  for (const schema of schemaNames) {
    test(`records.ts has the fields of ${schema}.avsc, and no others`, () => {
      const found = interfaces();
      const compare = (record: { name: string; fields: { name: string; type: unknown }[] }): void => {
        const fields = new Map(record.fields.map((field) => [field.name, inTypeScript(field.type)]));
        assert.deepEqual(sorted(found.get(record.name)!), sorted(fields), record.name);
        JSON.stringify(record.fields, (_, node: { type?: unknown; name: string; fields: [] } | null) => {
          if (node?.type === 'record') compare(node);
          return node;
        });
      };
      compare(JSON.parse(avroSchema(schema)) as Parameters<typeof compare>[0]);
    });
  }
});

describe('the registry client', () => {
  test('a registry that cannot be reached is a fault of the environment', async () => {
    const registry = confluentRegistry({ url: 'http://127.0.0.1:9' });
    await assert.rejects(registry.encode('frames', exampleRecord('frame')), (error: SaccadeError) => error.code === 'registry_unavailable' && error.retryable);
    const bytes = await fileRegistry().encode('frames', exampleRecord('frame'));
    await assert.rejects(registry.decode('frames', bytes), (error: SaccadeError) => error.code === 'registry_unavailable');
  });

  test('fifty records of an unseen id ask once, an unknown id is not asked again at once, and then it is', async () => {
    let asked = 0;
    let known = false;
    const server = createServer((_, response) => {
      asked += 1;
      response.writeHead(known ? 200 : 404, { 'content-type': 'application/json' });
      response.end(JSON.stringify(known ? { schema: avroSchema('frame') } : { error_code: 40403, message: 'not found' }));
    }).listen(0, '127.0.0.1');
    try {
      await new Promise((resolve) => server.once('listening', resolve));
      let time = 0;
      const registry = confluentRegistry({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, now: () => time });
      const bytes = await fileRegistry().encode('frames', exampleRecord('frame'));
      const decode = (): Promise<unknown[]> => Promise.all(Array.from({ length: 50 }, () => registry.decode('frames', bytes)));
      await assert.rejects(decode());
      await assert.rejects(decode());
      assert.equal(asked, 1);
      known = true;
      time += 60_000;
      await decode();
      assert.equal(asked, 2);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });
});
