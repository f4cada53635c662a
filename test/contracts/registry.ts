/** What every SchemaRegistry does, whoever keeps the schemas. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import type { SaccadeError } from '../../connectors/errors.ts';
import type { SchemaRegistry, TopicSpec } from '../../connectors/ports.ts';
import { exampleRecord } from '../../schemas/examples.ts';
import { avroSchema, descriptions } from '../../schemas/topics.ts';

export interface Versions {
  /** Texts that stand in for a file of schemas/avro. */
  readonly current?: Readonly<Record<string, string>>;
  /** Versions that this registry has seen before; one that remembers by itself ignores them. */
  readonly earlier?: Readonly<Record<string, readonly string[]>>;
}

export const schemaNames = [...new Set(descriptions.flatMap(({ schema }) => schema ?? []))];

/** A topic of the test's own that holds one schema: the subject is new in a registry that others use too. */
const topic = (schema: string): TopicSpec => ({
  name: `tensors.${randomUUID()}`,
  schema,
  plainBytes: false,
  partitions: 1,
  replication: 1,
  minInSync: 1,
  retentionMs: 60_000,
  maxRecordBytes: 1_000_000,
});

type Fields = { fields: { name: string; type: unknown; default?: unknown }[] };
const changed = (name: string, change: (schema: Fields) => void): string => {
  const schema = JSON.parse(avroSchema(name)) as Fields;
  change(schema);
  return JSON.stringify(schema);
};

const undecodable = (error: SaccadeError): boolean => error.code === 'undecodable_record' && !error.retryable;

export function registryContract(name: string, make: (versions?: Versions) => SchemaRegistry, options: { skip: string | false }): void {
  describe(`schema registry: ${name}`, options, () => {
    for (const schema of schemaNames) {
      test(`the example of ${schema} comes back as it went, in the wire format`, async () => {
        const [registry, spec] = [make(), topic(schema)];
        await registry.prepare([spec]);
        const bytes = await registry.encode(spec.name, exampleRecord(schema));
        assert.equal(bytes[0], 0);
        assert.ok(bytes.readInt32BE(1) > 0);
        assert.deepEqual(await registry.decode(spec.name, bytes), exampleRecord(schema));
      });
    }

    test('another process, later, reads it and writes the same id', async () => {
      const [spec, value] = [topic('frame'), exampleRecord('frame')];
      const [one, other] = [make(), make()];
      await one.prepare([spec]);
      const bytes = await one.encode(spec.name, value);
      await other.prepare([spec]);
      assert.deepEqual(await other.decode(spec.name, bytes), value);
      assert.deepEqual((await other.encode(spec.name, value)).subarray(0, 5), bytes.subarray(0, 5));
    });

    test('processes that start together agree on the ids', async () => {
      const specs = [topic('frame'), topic('tensor')];
      const registries = Array.from({ length: 4 }, () => make());
      await Promise.all(registries.map((registry) => registry.prepare(specs)));
      for (const { name: at, schema } of specs) {
        const written = await Promise.all(registries.map((registry) => registry.encode(at, exampleRecord(schema!))));
        assert.equal(new Set(written.map((bytes) => bytes.readInt32BE(1))).size, 1);
      }
    });

    test('a record far larger than the scratch buffer comes back whole', async () => {
      const [registry, spec] = [make(), topic('frame-in')];
      await registry.prepare([spec]);
      const image = Buffer.from(Uint8Array.from({ length: 700_001 }, (_, i) => i % 251));
      const bytes = await registry.encode(spec.name, { ...exampleRecord('frame-in'), image });
      const back = (await registry.decode(spec.name, bytes)) as { image: Buffer };
      assert.ok(back.image.equals(image));
      assert.equal(back.image.buffer, bytes.buffer, 'a view: nothing of that size is copied');
      const cut = Buffer.from(bytes.subarray(0, bytes.length - 100_000));
      await assert.rejects(registry.decode(spec.name, cut), (error: SaccadeError) => error.code === 'undecodable_record');
    });

    test('a value that is not of the schema is refused with the name of the field', async () => {
      const [registry, spec] = [make(), topic('frame')];
      await registry.prepare([spec]);
      await assert.rejects(registry.encode(spec.name, { ...exampleRecord('frame'), size: 'large' }), (error: SaccadeError) => {
        assert.equal(error.code, 'internal');
        return error.detail.includes('size');
      });
    });

    test('garbage, a cut, a tail and an unknown id are each undecodable', async () => {
      const [registry, spec] = [make(), topic('frame')];
      await registry.prepare([spec]);
      const bytes = await registry.encode(spec.name, exampleRecord('frame'));
      const unknownId = Buffer.from(bytes);
      unknownId.writeInt32BE(2_000_000_011, 1);
      const bad = [Buffer.alloc(0), Buffer.from([0, 0]), Buffer.from('no wire format'), bytes.subarray(0, -1), Buffer.concat([bytes, bytes]), unknownId];
      for (const record of bad) await assert.rejects(registry.decode(spec.name, record), undecodable, record.subarray(0, 12).toString('hex'));
      for (let cut = 0; cut < bytes.length; cut += 7) await assert.rejects(registry.decode(spec.name, bytes.subarray(0, cut)), undecodable);
      assert.deepEqual(await registry.decode(spec.name, bytes), exampleRecord('frame'), 'and the next record is read');
    });

    test('a list that claims 2^40 items is refused before it is read', async () => {
      const [registry, spec] = [make(), topic('frame-in')];
      await registry.prepare([spec]);
      const bytes = await registry.encode(spec.name, { image: Buffer.alloc(0), id: null, sequence: null, captured_at: null, models: [], deadline: null });
      // Header, empty image, three nulls, branch 1 of models; then its block count.
      const poison = Buffer.concat([bytes.subarray(0, 10), Buffer.from([0x80, 0x80, 0x80, 0x80, 0x80, 0x40]), Buffer.alloc(64)]);
      await assert.rejects(registry.decode(spec.name, poison), undecodable);
    });

    test('records of an older and of a newer producer are read as the current schema', async () => {
      const spec = topic('frame-in');
      const older = changed('frame-in', (schema) => (schema.fields = schema.fields.filter((field) => field.name !== 'deadline')));
      const newer = changed('frame-in', (schema) => schema.fields.push({ name: 'lens', type: ['null', 'string'], default: null }));
      const earlier = { 'frame-in': [older, newer] };
      const { deadline: _, ...old } = exampleRecord('frame-in');
      const before = make({ current: { 'frame-in': older }, earlier });
      await before.prepare([spec]);
      const fromOlder = await before.encode(spec.name, old);
      const now = make({ earlier });
      await now.prepare([spec]);
      const after = make({ current: { 'frame-in': newer }, earlier });
      await after.prepare([spec]);
      const fromNewer = await after.encode(spec.name, { ...exampleRecord('frame-in'), lens: 'wide' });
      assert.notEqual(fromOlder.readInt32BE(1), fromNewer.readInt32BE(1));
      assert.deepEqual(await now.decode(spec.name, fromOlder), { ...old, deadline: null });
      assert.deepEqual(await now.decode(spec.name, fromNewer), exampleRecord('frame-in'));
      // A process of the older version may still be started.
      await make({ current: { 'frame-in': older }, earlier }).prepare([spec]);
    });

    test('a schema that cannot read what was written before is refused, naming the subject and the field', async () => {
      const spec = topic('frame-in');
      const breaking = changed('frame-in', (schema) => schema.fields.push({ name: 'lens', type: 'string' }));
      await make().prepare([spec]);
      const registry = make({ current: { 'frame-in': breaking }, earlier: { 'frame-in': [avroSchema('frame-in')] } });
      await assert.rejects(registry.prepare([spec]), (error: SaccadeError) => {
        assert.equal(error.code, 'incompatible_schema');
        assert.match(error.message, new RegExp(`${spec.name}-value`));
        return error.message.includes('lens');
      });
    });

    test('a record of another topic’s schema is undecodable here and readable there', async () => {
      const [registry, here, there] = [make(), topic('frame-in'), topic('prediction')];
      await registry.prepare([here, there]);
      const bytes = await registry.encode(there.name, exampleRecord('prediction'));
      await assert.rejects(registry.decode(here.name, bytes), undecodable);
      assert.deepEqual(await registry.decode(there.name, bytes), exampleRecord('prediction'));
    });

    test('many records decoded at once by a cold cache all come back', async () => {
      const [spec, value] = [topic('tensor'), exampleRecord('tensor')];
      const writer = make();
      await writer.prepare([spec]);
      const bytes = await writer.encode(spec.name, value);
      const cold = make();
      await cold.prepare([{ ...spec, schema: 'tensor' }]);
      const all = await Promise.all(Array.from({ length: 50 }, () => cold.decode(spec.name, bytes)));
      for (const one of all) assert.deepEqual(one, value);
    });

    test('a topic of bytes as they came, and plain bytes where they are allowed, are handed on untouched', async () => {
      const registry = make();
      const jpeg = Buffer.from([0xff, 0xd8, 0xff, 0xe0]);
      assert.equal(await registry.decode('frames.in', jpeg), jpeg);
      assert.equal(await registry.decode('frames.dlq', jpeg), jpeg);
      assert.equal(await registry.encode('frames.dlq', jpeg), jpeg);
    });
  });
}
