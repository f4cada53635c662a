import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import sharp from 'sharp';
import { SaccadeError } from '../connectors/errors.ts';
import { loadModels } from '../connectors/models/repository.ts';
import { readConfig } from '../processors/config.ts';
import { iou } from '../processors/infer/nms.ts';
import { agreementOf, type Answer } from '../processors/quantise/agreement.ts';
import { readArguments } from '../processors/quantise/arguments.ts';
import { quantiseCommand } from '../processors/quantise/main.ts';
import { quantiseModel } from '../processors/quantise/quantise.ts';
import { skipUnless } from './support/components.ts';

const labelled = (class_id: number, score = 0.9): Answer => ({ labels: [{ class_id, score }], boxes: [] });
const boxed = (...boxes: [class_id: number, x1: number, x2: number][]): Answer => ({
  labels: [],
  boxes: boxes.map(([class_id, x1, x2]) => ({ class_id, score: 0.8, x1, x2, y1: 0, y2: 10 })),
});
const agreement = (wanted: Answer[], found: Answer[]) => agreementOf(wanted, found, iou);
const refused = (code: string, pattern: RegExp) => (error: unknown) => error instanceof SaccadeError && error.code === code && pattern.test(error.detail);

describe('how far two versions agree', () => {
  test('by first labels', () => {
    assert.equal(agreement([labelled(1), labelled(2), labelled(3), labelled(4)], [labelled(1), labelled(2), labelled(3), labelled(9)]).share, 0.75);
    assert.ok(Math.abs(agreement([labelled(1, 0.9)], [labelled(1, 0.7)]).scoreDifference - 0.2) < 1e-9);
  });

  test('by boxes: a box that is missing, one too many, another class and too small an overlap all count', () => {
    assert.equal(agreement([boxed([1, 0, 10])], [boxed([1, 1, 11])]).share, 1);
    assert.equal(agreement([boxed([1, 0, 10], [1, 50, 60])], [boxed([1, 0, 10])]).share, 2 / 3);
    assert.equal(agreement([boxed([1, 0, 10])], [boxed([1, 0, 10], [2, 30, 40])]).share, 2 / 3);
    assert.equal(agreement([boxed([1, 0, 10])], [boxed([2, 0, 10])]).share, 0);
    assert.equal(agreement([boxed([1, 0, 10])], [boxed([1, 6, 16])]).share, 0);
    assert.equal(agreement([boxed([1, 0, 10])], [boxed([1, 0, 10], [1, 1, 11])]).share, 2 / 3, 'a box is matched once');
  });

  test('nothing found anywhere is agreement over nothing', () => assert.equal(agreement([boxed()], [boxed()]).of, 0));
});

test('arguments that cannot be are named', () => {
  for (const [argv, pattern] of [
    [[], /Which model/],
    [['nanodet'], /--pictures/],
    [['nanodet', '--pictures', 'a', '--min-agreement', '2'], /--min-agreement is '2'/],
    [['nanodet', '--pictures', 'a', '--renderings', '1'], /--renderings/],
    [['nanodet', 'more', '--pictures', 'a'], /'more'/],
    [['nanodet', '--shades'], /--shades/],
    [['nanodet', '--pictures', 'a', '--frames', '9'], /either --pictures FOLDER or --frames/],
    [['nanodet', '--frames', '3'], /--frames is '3'/],
  ] as const) {
    assert.throws(() => readArguments(argv), refused('bad_request', pattern), argv.join(' '));
  }
});

describe('what is made is judged before it is kept', () => {
  /** Everything but the verdict is stood in for: what the int8 graph answers is said here. */
  async function judged(int8: Answer): Promise<{ made: Promise<unknown>; versions(): Promise<string[]> }> {
    const folder = await mkdtemp(join(tmpdir(), 'saccade-judged-'));
    await cp('models/efficientnet-lite0/1', join(folder, 'efficientnet-lite0', '1'), { recursive: true });
    const [model] = await loadModels(folder, ['efficientnet-lite0']);
    const asked = readArguments(['efficientnet-lite0', '--pictures', 'x', '--min-agreement', '0.9'])!;
    const made = quantiseModel(model!, Array.from({ length: 4 }, () => Buffer.from('picture')), asked, {
      tensors: async (_picture, _input, count) => Array.from({ length: count }, () => Buffer.alloc(3)),
      answers: async ({ card }, tensors) => ({ answers: tensors.map(() => (card.precision === 'int8' ? int8 : labelled(1))), ms: 1 }),
      quantise: ({ out }) => writeFile(out, 'graph'),
      overlap: iou,
      say() {},
    });
    return { made, versions: () => readdir(join(folder, 'efficientnet-lite0')) };
  }

  test('below the limit nothing is kept', async () => {
    const { made, versions } = await judged(labelled(2));
    await assert.rejects(made, refused('bad_request', /agree with 1 on 0.0 %, below --min-agreement 90.0 %/));
    assert.deepEqual(await versions(), ['1']);
  });

  test('above it, it is', async () => {
    const { made, versions } = await judged(labelled(1));
    await made;
    assert.deepEqual((await versions()).sort(), ['1', '2']);
  });
});

// The packages need a Python that can make environments; its absence skips what needs it, and CI installs it.
const python = spawnSync('python3', ['-c', 'import venv, ensurepip']).status === 0;
const needsPython = skipUnless(python, 'Python 3 with venv', 'on Debian, apt-get install python3-venv');

describe('an int8 version of a model', { skip: needsPython }, () => {
  const scratch = mkdtemp(join(tmpdir(), 'saccade-quantise-test-'));
  after(async () => rm(await scratch, { recursive: true, force: true }));

  async function set(): Promise<{ pictures: string; models: string; run(...argv: string[]): Promise<string[]> }> {
    const folder = await mkdtemp(join(await scratch, 'run-'));
    const [pictures, models] = [join(folder, 'pictures'), join(folder, 'models')];
    await mkdir(pictures);
    await cp('models/efficientnet-lite0/1', join(models, 'efficientnet-lite0', '1'), { recursive: true });
    for (const name of ['astronaut', 'coffee', 'chelsea']) {
      const { width, height } = await sharp(`media/${name}.jpg`).metadata();
      for (const [at, left] of [0, 0.1, 0.2].entries()) {
        const part = { left: Math.floor(left * width), top: 0, width: Math.floor(0.8 * width), height };
        await sharp(`media/${name}.jpg`).extract(part).toFile(join(pictures, `${name}-${at}.jpg`));
      }
    }
    const { settings } = readConfig([], { SACCADE_MODELS_DIR: models });
    const lines: string[] = [];
    const run = async (...argv: string[]): Promise<string[]> => {
      await quantiseCommand(['efficientnet-lite0@1', '--pictures', pictures, '--renderings', '12', ...argv], settings, { print: (line) => lines.push(line), say() {} });
      return lines;
    };
    return { pictures, models, run };
  }

  test('is kept with a card that loads, and answers nearly as the one it was made from', async () => {
    const { models, run } = await set();
    const lines = await run('--min-agreement', '0.5');
    assert.match(lines.join('\n'), /agreement +\d+\.\d %.*\nspeed .*\nsize .*\nkept as/);
    const [made] = await loadModels(models, ['efficientnet-lite0']);
    assert.equal(made!.card.version, '2');
    assert.equal(made!.card.precision, 'int8');
    assert.equal(made!.card.semantic_version, '1.1.0');
    const [fp32, int8] = await Promise.all(['1', '2'].map(async (version) => (await readFile(join(models, 'efficientnet-lite0', version, 'model.onnx'))).length));
    assert.ok(int8! < fp32! / 3, `${int8} bytes of ${fp32}`);
  });

  test('where nothing was quantised nothing is kept, nor with --dry-run', async () => {
    const { models, run } = await set();
    await assert.rejects(run('--operators', 'NoSuchOperator'), refused('internal', /nothing was quantised.*NoSuchOperator/s));
    await run('--dry-run', '--min-agreement', '0');
    assert.deepEqual(await readdir(join(models, 'efficientnet-lite0')), ['1']);
  });

  test('too few pictures, and a model that is int8 already, are refused', async () => {
    const { models, run, pictures } = await set();
    for (const name of (await readdir(pictures)).slice(3)) await rm(join(pictures, name));
    await assert.rejects(run(), refused('bad_request', /3 pictures are too few/));
    assert.deepEqual(await readdir(join(models, 'efficientnet-lite0')), ['1']);
    const { settings } = readConfig([], {});
    const again = quantiseCommand(['efficientnet-lite0@2', '--pictures', 'media'], settings, { print() {}, say() {} });
    await assert.rejects(again, refused('bad_request', /is int8/));
  });
});
