import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { readFileSync } from 'node:fs';
import { memoryBlobs } from '../connectors/blobs/memory.ts';
import type { SaccadeError } from '../connectors/errors.ts';
import { loadModels } from '../connectors/models/repository.ts';
import { confluentRegistry } from '../connectors/registry/confluent.ts';
import { ingestStage } from '../processors/ingest/ingest.ts';
import { preprocessConfig } from '../processors/preprocess/config.ts';
import { preprocessStage } from '../processors/preprocess/preprocess.ts';
import { systemClock as clock } from '../processors/runtime/clock.ts';
import type { FrameIn, Tensor } from '../schemas/records.ts';
import { avroSchema } from '../schemas/topics.ts';
import { needsKafka, needsRegistry, registryUrl } from './support/components.ts';
import { testKafkaLog, testTopic, uniqueName, until } from './support/kafka.ts';
import { pipelineOn, readAll } from './support/pipeline.ts';
import { fixedModels } from '../schemas/model-set.ts';

type Fields = { fields: { name: string; type: unknown; default?: unknown }[] };
const changed = (name: string, change: (schema: Fields) => void): string => {
  const schema = JSON.parse(avroSchema(name)) as Fields;
  change(schema);
  return JSON.stringify(schema);
};
/** A process whose version of some schemas is another one. */
const registryWith = (versions: Readonly<Record<string, string>> = {}) => confluentRegistry({ url: registryUrl!, schema: (name) => versions[name] ?? avroSchema(name) });

const model = 'efficientnet-lite0';
const image = readFileSync(new URL('../media/coffee.jpg', import.meta.url));

describe('schema versions side by side, through the chain', { skip: needsKafka || needsRegistry, timeout: 120_000 }, () => {
  const log = testKafkaLog();
  after(() => log.close());
  const next = {
    'frame-in': changed('frame-in', ({ fields }) => fields.push({ name: 'lens', type: ['null', 'string'], default: null })),
    frame: changed('frame', ({ fields }) => fields.push({ name: 'lens', type: ['null', 'string'], default: null })),
  };
  const previous = { 'frame-in': changed('frame-in', (schema) => (schema.fields = schema.fields.filter(({ name }) => name !== 'deadline'))) };

  test('producers of the next and of the previous version, and a stage already on the next one, all get their tensors', async () => {
    const names = { in: uniqueName('in'), frames: uniqueName('frames'), tensors: uniqueName('tensors'), other: uniqueName('other') };
    const specs = [
      testTopic({ name: names.in, schema: 'frame-in' }),
      testTopic({ name: names.frames, schema: 'frame', plainBytes: false }),
      testTopic({ name: names.tensors, schema: 'tensor', plainBytes: false }),
      testTopic({ name: names.other, schema: 'prediction', plainBytes: false }),
      testTopic({ name: `${names.in}.dlq` }),
      testTopic({ name: `${names.frames}.dlq` }),
    ];
    await log.ensureTopics(specs);
    const [older, current, newer] = [registryWith(previous), registryWith(), registryWith(next)];
    for (const registry of [older, current, newer]) await registry.prepare(specs);

    const models = await loadModels('models', [model]);
    const blobs = memoryBlobs();
    const rules = { maxImageBytes: 4_000_000, claimCheckBytes: 1_000_000, models: [model], blobs };
    const ingest = { stage: ingestStage({ rules, tenant: 'default' }) as never, from: names.in, group: uniqueName('ingest'), to: { frames: names.frames, predictions: names.other } };
    const preprocess = { stage: preprocessStage({ models: fixedModels(models), blobs, limits: preprocessConfig.parse({}), clock }) as never, from: names.frames, group: uniqueName('preprocess'), to: { [model]: names.tensors, predictions: names.other, replies: names.other } };
    // In the middle of an upgrade: ingest writes the next version of a frame, preprocess does not know it yet.
    const pipelines = [await pipelineOn(log, [ingest], { registry: newer }), await pipelineOn(log, [preprocess], { registry: current })];
    for (const pipeline of pipelines) await pipeline.start();

    const producer = await log.producer();
    const frame: FrameIn & { lens: string } = { image, id: 'next', sequence: 1, captured_at: null, models: null, deadline: null, lens: 'wide' };
    const { deadline: _deadline, lens: _lens, ...old } = { ...frame, id: 'previous', sequence: 2 };
    await producer.send([
      { topic: names.in, key: 'newer', value: await newer.encode(names.in, frame) },
      { topic: names.in, key: 'older', value: await older.encode(names.in, old) },
    ]);
    await until('both tensors', async () => (await log.endOffsets(names.tensors)).reduce((sum, { offset }) => sum + offset, 0) >= 2);
    for (const pipeline of pipelines) await pipeline.stop(5_000);
    const tensors = await Promise.all((await readAll(log, names.tensors)).map(async ({ value }) => (await current.decode(names.tensors, value!)) as Tensor));
    assert.deepEqual(tensors.map(({ source, sequence }) => [source, sequence]).toSorted(), [['newer', 1], ['older', 2]]);
    for (const letters of [`${names.in}.dlq`, `${names.frames}.dlq`]) assert.equal((await readAll(log, letters)).length, 0, letters);
  });

  test('an incompatible version is refused at registration, naming subject and field, and nothing of it remains', async () => {
    const spec = testTopic({ name: uniqueName('frames'), schema: 'frame', plainBytes: false });
    await registryWith().prepare([spec]);
    const breaking = {
      'a field without a default': changed('frame', ({ fields }) => fields.push({ name: 'lens', type: 'string' })),
      'a field of another type': changed('frame', ({ fields }) => fields.forEach((field) => field.name === 'size' && Object.assign(field, { type: 'string' }))),
    };
    for (const [what, frame] of Object.entries(breaking)) {
      await assert.rejects(registryWith({ frame }).prepare([spec]), (error: SaccadeError) => {
        assert.equal(error.code, 'incompatible_schema', what);
        assert.ok(error.message.includes(`${spec.name}-value`), error.message);
        assert.match(error.message, what.includes('default') ? /lens/ : /size/, what);
        return true;
      });
    }
    await registryWith().prepare([spec]);
    await registryWith(next).prepare([spec]);
  });
});
