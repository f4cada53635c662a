import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { SaccadeError } from '../connectors/errors.ts';
import { loadModels } from '../connectors/models/repository.ts';
import type { Engine } from '../processors/infer/engine.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import { cutPicture } from '../processors/served-models.ts';
import { answerDigest, type Model } from '../schemas/model-card.ts';
import { photo } from './reference/pictures.ts';
import { linearHead } from './reference/tiny-onnx.ts';
import { engineWith, modelsRoot, row } from './support/models.ts';

const size = 1280;
const classes = ['cup', 'cat', 'person'];
const weightsOf = (seed: number): Float32Array<ArrayBuffer> => Float32Array.from({ length: size * classes.length }, (_, i) => Math.sin(i * seed) / 4);

const cardOf = (name: string, graph: Buffer) => ({
  name, version: '1', semantic_version: '1.0.0', description: 'A head for the test.', task: 'head', precision: 'fp32',
  head: { backbone: 'efficientnet-lite0@2', embedding: 'embedding', input: 'x' },
  outputs: { probabilities: { shape: '[N,3]', meaning: 'softmax' } }, labels: 'labels.txt', thresholds: { score: 0, top: 3 },
  licence: 'CC0', source: 'test/reference/tiny-onnx.ts', sha256: createHash('sha256').update(graph).digest('hex'),
});

describe('heads on one backbone', () => {
  let root: string;
  let engine: Engine;
  let lite: Model;
  let heads: [Model, Model];

  async function write(name: string, graph: Buffer, edit: (card: ReturnType<typeof cardOf>) => object = (card) => card): Promise<void> {
    const folder = join(root, name, '1');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'model.onnx'), graph);
    await writeFile(join(folder, 'labels.txt'), `${classes.join('\n')}\n`);
    await writeFile(join(folder, 'card.json'), JSON.stringify(edit(cardOf(name, graph))));
  }

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'saccade-heads-'));
    await cp(join(modelsRoot, 'efficientnet-lite0'), join(root, 'efficientnet-lite0'), { recursive: true });
    await write('menu', linearHead(weightsOf(1), size, 3));
    await write('zoo', linearHead(weightsOf(2), size, 3));
    heads = (await loadModels(root, ['menu', 'zoo'])) as [Model, Model];
    lite = heads[0].backbone!;
    engine = await engineWith(heads, systemClock, { workers: 1, maxBatch: 4 });
  });
  after(async () => {
    await engine.close();
    await rm(root, { recursive: true });
  });

  test('take the backbone\'s pictures, share its run, and answer their own classes', async () => {
    const { pixels } = await cutPicture(photo('coffee'), heads[0]);
    // The first row keeps the only worker busy, so that those behind it leave in one run.
    const busy = engine.run(lite, [row(pixels)]);
    const [[menu], [zoo], [plain]] = await Promise.all([engine.run(heads[0], [row(pixels)]), engine.run(heads[1], [row(pixels)]), engine.run(lite, [row(pixels)])]);
    await busy;
    assert.ok(menu?.ok && zoo?.ok && plain?.ok);
    // Three wait and sizes are 1, 2, 4: two go together.
    assert.equal(menu.ms, zoo.ms, 'one run');
    assert.equal(plain.outputs.probabilities!.length, 1000);
    for (const [answer, seed] of [[menu, 1], [zoo, 2]] as const) {
      const expected = softmax(answer.outputs.embedding!, weightsOf(seed));
      assert.equal(answer.outputs.probabilities!.length, 3);
      expected.forEach((probability, i) => assert.ok(Math.abs(probability - answer.outputs.probabilities![i]!) < 1e-4, `${expected} ${answer.outputs.probabilities}`));
    }
    assert.notDeepEqual(menu.outputs.probabilities, zoo.outputs.probabilities);
    assert.notEqual(answerDigest(heads[0]), answerDigest(heads[1]));
  });

  test('are warm in every size that a run of the backbone can ask them for, in every worker', async () => {
    const entry = join(root, 'told-entry.mjs');
    const list = join(root, 'asked.jsonl');
    await writeFile(entry, `
      import { appendFileSync } from 'node:fs';
      import { parentPort, threadId } from 'node:worker_threads';
      parentPort.on('message', ({ kind, key, rows }) => kind === 'measure' && key === 'menu@1' && appendFileSync('${list}', threadId + ' ' + rows + '\\n'));
      await import('${new URL('../processors/infer/worker-entry.mjs', import.meta.url)}');
    `);
    const own = await engineWith([heads[0]], systemClock, { workers: 2, maxBatch: 4, entry: pathToFileURL(entry) });
    await own.close();
    const asked = new Set((await readFile(list, 'utf8')).trim().split('\n'));
    const workers = new Set([...asked].map((line) => line.split(' ')[0]));
    assert.equal(workers.size, 2);
    assert.deepEqual([...asked].toSorted(), [...workers].flatMap((worker) => [1, 2, 3, 4].map((rows) => `${worker} ${rows}`)).toSorted());
  });

  test('keep their backbone loaded until the last of them is gone', async () => {
    await engine.unload(heads[0]);
    assert.equal(engine.about(lite).provider, 'cpu');
    await engine.unload(heads[1]);
    assert.throws(() => engine.about(lite));
  });

  test('are refused without a backbone that gives such an embedding', async () => {
    const graph = linearHead(weightsOf(3), size, 3);
    const refused = (words: RegExp) => (error: unknown) => error instanceof SaccadeError && error.code === 'invalid_model' && words.test(error.message);
    await write('odd', graph, (card) => ({ ...card, head: { ...card.head, embedding: 'features' } }));
    await assert.rejects(loadModels(root, ['odd']), refused(/head\.embedding: efficientnet-lite0@2 has no output features/));
    await write('odd', graph, (card) => ({ ...card, head: { ...card.head, backbone: 'efficientnet-lite0' } }));
    await assert.rejects(loadModels(root, ['odd']), refused(/head\.backbone: NAME@VERSION/));
    await write('odd', graph, (card) => ({ ...card, head: { ...card.head, backbone: 'zoo@1' } }));
    await assert.rejects(loadModels(root, ['odd']), refused(/zoo@1 is a head itself/));
    await write('odd', linearHead(weightsOf(3).slice(0, 3 * 640), 640, 3));
    const [narrow] = await loadModels(root, ['odd']);
    await assert.rejects(engineWith([narrow!], systemClock), refused(/input x is float32 \[N,640\], card\.json says float32 \[N,1280\]/));
  });
});

function softmax(x: Float32Array, weights: Float32Array): number[] {
  const logits = classes.map((_, c) => x.reduce((sum, value, i) => sum + value * weights[i * classes.length + c]!, 0));
  const exps = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
  return exps.map((each) => each / exps.reduce((a, b) => a + b));
}
