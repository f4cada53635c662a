import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SaccadeError, type ErrorCode } from '../connectors/errors.ts';
import { parseModelChoice } from '../connectors/models/model-choice.ts';
import { loadModels } from '../connectors/models/repository.ts';

const root = fileURLToPath(new URL('../models', import.meta.url));

const fails = (code: ErrorCode, ...words: string[]) => (error: unknown): boolean => {
  assert.ok(error instanceof SaccadeError, String(error));
  assert.equal(error.code, code);
  for (const word of words) assert.ok(error.message.includes(word), `${error.message} should name ${word}`);
  return true;
};

describe('a choice of model', () => {
  test('is a name, or a name at a version', () => {
    assert.deepEqual(parseModelChoice('nanodet'), { name: 'nanodet', version: null });
    assert.deepEqual(parseModelChoice('efficientnet-lite0@12'), { name: 'efficientnet-lite0', version: '12' });
  });
  for (const text of ['', '@1', 'nanodet@', 'nanodet@one', '../models', 'Nano', 'a@1@2', ' nanodet']) {
    test(`is refused: ${JSON.stringify(text)}`, () => assert.throws(() => parseModelChoice(text), fails('invalid_config', JSON.stringify(text))));
  }
});

describe('the repository', () => {
  test('loads what the project ships, the highest version unless one is named', async () => {
    const models = await loadModels(root, ['nanodet', 'efficientnet-lite0', 'ultraface']);
    assert.deepEqual(models.map(({ card }) => `${card.name}@${card.version}`), ['nanodet@1', 'efficientnet-lite0@2', 'ultraface@1']);
    assert.equal(models[0]!.labels[0], 'person');
    assert.equal(models[1]!.labels.length, 1000);
    const [older] = await loadModels(root, ['efficientnet-lite0@1']);
    assert.equal(older!.card.precision, 'fp32');
    const [asked] = await loadModels(root, ['nanodet@2']);
    assert.deepEqual([asked!.card.precision, asked!.card.default], ['int8', false], 'for who asks for it');
  });

  test('refuses two versions of one model: they would share a topic', async () => {
    await assert.rejects(loadModels(root, ['nanodet', 'nanodet@1']), fails('invalid_config', 'nanodet'));
  });

  test('names what is not there', async () => {
    await assert.rejects(loadModels(root, ['resnet']), fails('invalid_model', 'resnet'));
    await assert.rejects(loadModels(root, ['nanodet@7']), fails('invalid_model', join('nanodet', '7', 'card.json')));
  });

  const spoiled: readonly [string, (folder: string) => Promise<void>, readonly string[]][] = [
    ['a flipped byte of the graph', (folder) => edit(join(folder, 'model.onnx'), (bytes) => bytes.fill(bytes[99]! ^ 1, 99, 100)), ['model.onnx', 'sha256']],
    ['no graph', (folder) => rm(join(folder, 'model.onnx')), ['model.onnx', 'cannot be read']],
    ['a field of the wrong kind', (folder) => editCard(folder, (card) => ({ ...card, input: { ...card.input, height: '416' } })), ['card.json', 'input.height']],
    ['a field nobody knows', (folder) => editCard(folder, (card) => ({ ...card, licens: 'MIT' })), ['card.json', 'licens']],
    ['a card that is not JSON', (folder) => writeFile(join(folder, 'card.json'), '{'), ['card.json', 'JSON']],
    ['another version', (folder) => editCard(folder, (card) => ({ ...card, version: '3' })), ['card.json', 'version is 3']],
    ['another name', (folder) => editCard(folder, (card) => ({ ...card, name: 'yolo' })), ['card.json', 'name is yolo']],
    ['a task whose answer is not among the outputs', (folder) => editCard(folder, (card) => ({ ...card, task: 'faces' })), ['card.json', 'outputs', 'faces']],
    ['labels that are missing', (folder) => rm(join(folder, 'labels.txt')), ['labels.txt']],
    ['labels with a gap', (folder) => writeFile(join(folder, 'labels.txt'), 'person\n\ncar\n'), ['labels.txt', 'line 2']],
    ['labels of another folder', (folder) => editCard(folder, (card) => ({ ...card, labels: '../../labels.txt' })), ['card.json', 'labels']],
    [
      'fewer labels than classes',
      (folder) => editCard(folder, (card) => ({ ...card, task: 'classification', outputs: { probabilities: { shape: '[N,81]', meaning: '' } } })),
      ['labels.txt', '80 labels', '[N,81]'],
    ],
  ];
  for (const [what, spoil, words] of spoiled) {
    test(`refuses ${what}`, async (t) => {
      const copy = await mkdtemp(join(tmpdir(), 'saccade-models-'));
      t.after(() => rm(copy, { recursive: true }));
      await cp(join(root, 'nanodet'), join(copy, 'nanodet'), { recursive: true });
      await spoil(join(copy, 'nanodet', '1'));
      await assert.rejects(loadModels(copy, ['nanodet']), fails('invalid_model', ...words));
    });
  }

  test('takes version 10 to be higher than version 9', async (t) => {
    const copy = await mkdtemp(join(tmpdir(), 'saccade-models-'));
    t.after(() => rm(copy, { recursive: true }));
    for (const version of ['9', '10']) {
      await cp(join(root, 'ultraface', '1'), join(copy, 'ultraface', version), { recursive: true });
      await editCard(join(copy, 'ultraface', version), (card) => ({ ...card, version }));
    }
    const [model] = await loadModels(copy, ['ultraface']);
    assert.equal(model!.card.version, '10');
  });
});

async function edit(file: string, change: (bytes: Buffer) => Buffer): Promise<void> {
  await writeFile(file, change(await readFile(file)));
}

async function editCard(folder: string, change: (card: Record<string, any>) => unknown): Promise<void> {
  const file = join(folder, 'card.json');
  await writeFile(file, JSON.stringify(change(JSON.parse(await readFile(file, 'utf8')))));
}
