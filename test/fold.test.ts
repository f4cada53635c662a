/** Graphs folded when they are loaded: the same answers as the file's, and nothing touched that is not known exactly. */
import { after, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { foldGraph } from '../processors/infer/fold/fold.ts';
import type { Engine } from '../processors/infer/engine.ts';
import { cutPicture } from '../processors/served-models.ts';
import { sizes, smallGraph, quantisedGraph, type Small } from './reference/small-graphs.ts';
import { photo } from './reference/pictures.ts';
import { type Constant, onnxFile } from './reference/tiny-onnx.ts';
import { engineWith, modelsNamed, row } from './support/models.ts';

const clock = { now: Date.now, sleep: async () => {} };
const { height, width } = sizes;
/** All levels, no two rows alike. */
const picture = Uint8Array.from({ length: 2 * height * width * 3 }, (_, i) => (i * 37 + Math.floor(i / (width * 3)) * 11) % 256);

async function answer(bytes: Uint8Array): Promise<Float32Array> {
  const session = await InferenceSession.create(bytes, { logSeverityLevel: 3, intraOpNumThreads: 1 });
  const { y } = await session.run({ image: new Tensor('uint8', picture, [2, height, width, 3]) });
  await session.release();
  return y!.data as Float32Array;
}

/** Folds it, and compares the answers: to a share of the largest. */
async function folds(file: Buffer, within: number): Promise<readonly string[]> {
  const folded = foldGraph(file, 'image', sizes);
  assert.ok(folded, 'nothing was folded');
  const [plain, quick] = [await answer(file), await answer(folded.bytes)];
  assert.equal(quick.length, plain.length);
  const largest = plain.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  assert.ok(largest > 0 && new Set(plain).size > 20, 'the answers say nothing');
  plain.forEach((value, i) => assert.ok(Math.abs(value - quick[i]!) <= within * largest, `at ${i}: ${value} and ${quick[i]}`));
  return folded.done;
}

const leftAlone = (file: Buffer): void => assert.equal(foldGraph(file, 'image', sizes), null);

describe('the models that come with Saccade, on photos', () => {
  const engines: Engine[] = [];
  after(() => Promise.all(engines.map((engine) => engine.close())));
  for (const [name, done, within] of [
    ['nanodet@1', ['scale and order of the channels in the first convolution', 'padding in a pool'], 1e-4],
    ['efficientnet-lite0@2', ["the pixels are the first convolution's input", 'its pixels in groups of four'], 0],
  ] as const) {
    test(`${name} answers as its file does`, async () => {
      const [model] = await modelsNamed(name);
      const said: string[] = [];
      const [plain, folded] = await Promise.all([false, true].map((fold) => engineWith([model!], clock, { workers: 2, fold, maxBatch: 2, log: (line) => said.push(line) })));
      engines.push(plain!, folded!);
      assert.deepEqual(plain!.about(model!).folding, { done: [], instead: null });
      assert.deepEqual(folded!.about(model!).folding, { done, instead: null });
      assert.deepEqual(said, [`${name} was folded: ${done.join('; ')}`]);
      const rows = await Promise.all(['astronaut', 'coffee', 'chelsea'].map(async (one) => row((await cutPicture(photo(one), model!)).pixels)));
      const [theirs, ours] = await Promise.all([plain!.run(model!, rows), folded!.run(model!, rows)]);
      theirs.forEach((result, i) => {
        const other = ours[i]!;
        assert.ok(result.ok && other.ok);
        for (const [output, values] of Object.entries(result.outputs)) {
          values.forEach((value, at) => assert.ok(Math.abs(value - other.outputs[output]![at]!) <= within * Math.max(1, Math.abs(value)), `${output}[${at}] is ${other.outputs[output]![at]}, was ${value}`));
        }
      });
    });
  }
  test('those whose preamble is as quick as it can be are left alone', async () => {
    for (const { path, card } of await modelsNamed('efficientnet-lite0@1', 'ultraface@1')) assert.equal(foldGraph(await readFile(path), card.input.name, card.input), null);
  });
});

describe('a preamble becomes part of the first convolution', () => {
  const mean = { type: 'float32', dims: [3], values: [103.53, 116.28, 123.675] } as const;
  const planes = { ...mean, dims: [1, 3, 1, 1] };
  const scale = { type: 'float32', dims: [1, 1, 3], values: [0.017, 0.0175, 0.0171] } as const;
  const scalar = (value: number): Constant => ({ type: 'float32', dims: [], values: [value] });
  const index = (values: readonly number[], listed = false): Constant => ({ type: 'int64', dims: [values.length], values, listed });
  const both = ['scale and order of the channels in the first convolution'];
  const one = ['scale in the first convolution'];
  const cases: readonly (readonly [string, Small, readonly string[]])[] = [
    ['order, mean and scale on NHWC', { steps: [['Cast'], ['Gather', index([2, 1, 0])], ['Sub', mean], ['Mul', scale], ['Transpose']] }, both],
    ['on NCHW, by division', { steps: [['Transpose'], ['Cast'], ['Sub', planes], ['Div', { ...scale, dims: [3, 1, 1], values: [57, 58, 59] }]] }, one],
    ['a scale of its own before the mean', { steps: [['Cast'], ['Div', scalar(255)], ['Sub', { ...mean, values: [0.485, 0.456, 0.406] }], ['Div', { ...mean, values: [0.229, 0.224, 0.225] }], ['Transpose']] }, one],
    ['channels turned round by a slice', { steps: [['Transpose'], ['Slice', index([-1]), index([-(2 ** 53)]), index([1]), index([-1])], ['Cast'], ['Mul', scalar(1 / 255)]] }, both],
    ['channels in another order, negative indices, in lists', { steps: [['Gather', index([-1, 0, 1], true)], ['Cast'], ['Transpose'], ['Mul', { ...planes, listed: true }]] }, both],
    ['constants on the left', { steps: [['Cast'], ['Transpose'], ['Sub', scalar(255), 'left'], ['Mul', scalar(0.01), 'left'], ['Add', planes]] }, one],
    ['constants of operators', { steps: [['Cast'], ['Sub', mean], ['Mul', scale], ['Transpose']], constantNodes: true }, one],
    ['weights in a list, padding by an operator of its own', { steps: [['Cast'], ['Sub', mean], ['Mul', scale], ['Transpose']], listedWeights: true, pad: 0 }, one],
    ['a mean by channel on NHWC alone', { steps: [['Cast'], ['Sub', mean], ['Transpose']] }, ['mean and scale plane by plane']],
  ];
  for (const [name, small, done] of cases) {
    test(name, async () => assert.deepEqual(await folds(onnxFile(smallGraph(small)), 1e-5), done));
  }

  const usual: Small = { steps: [['Cast'], ['Sub', mean], ['Mul', scale], ['Transpose']] };
  const others: readonly (readonly [string, Small])[] = [
    ['it is already as it would become', { steps: [['Transpose'], ['Cast'], ['Sub', { ...mean, dims: [3, 1, 1] }]] }],
    ['one mean and one scale for all channels', { steps: [['Cast'], ['Sub', scalar(127)], ['Div', scalar(128)], ['Transpose']] }],
    ['something else takes the picture too', { ...usual, another: 'image' }],
    ['something else takes what lies between', { ...usual, another: 'step1' }],
    ['what lies between is an answer', { ...usual, answer: 'step1' }],
    ['the same tensor twice', { steps: [['Cast'], ['Mul', 'itself'], ['Transpose']] }],
    ['a convolution in groups', { ...usual, groups: 3 }],
    ['a channel that is there twice', { steps: [['Cast'], ['Gather', index([2, 2, 0])], ['Transpose']] }],
    ['a gather along the rows', { steps: [['Cast'], ['Gather', index([2, 1, 0]), { axis: 1 }], ['Mul', scale], ['Transpose']], tall: true }],
    ['a slice of another kind', { steps: [['Transpose'], ['Slice', index([0]), index([3]), index([1]), index([1])], ['Cast'], ['Mul', scalar(1 / 255)]] }],
    ['an operator nobody knows', { steps: [['Cast'], ['Sqrt'], ['Mul', scale], ['Transpose']] }],
    ['arithmetic on bytes', { steps: [['Mul', { type: 'uint8', dims: [], values: [1] }], ['Cast'], ['Transpose']] }],
    ['a constant divided by the picture', { steps: [['Cast'], ['Add', scalar(1)], ['Div', scalar(255), 'left'], ['Transpose']] }],
    ['a scale of zero', { steps: [['Cast'], ['Mul', { ...scale, values: [0, 1, 1] }], ['Transpose']] }],
    ['a constant by row', { steps: [['Cast'], ['Mul', { type: 'float32', dims: [height, 1, 1], values: Array.from({ length: height }, (_, i) => i + 1) }], ['Transpose']] }],
    ['padding with something else', { ...usual, pad: 1 }],
    ['padding by reflection', { ...usual, pad: 0, padMode: 'reflect' }],
    ['weights that come as an input', { ...usual, weightsAreInput: true }],
    ['an opset from before', { ...usual, opset: 12 }],
    ['values in a file beside the graph', { ...usual, external: true }],
    ['a graph within an operator', { ...usual, graphWithin: true }],
    ['operators of somebody else', { ...usual, domain: 'com.example' }],
  ];
  for (const [name, small] of others) test(`not where there is ${name}`, () => leftAlone(onnxFile(smallGraph(small))));

  test('what nobody here knows is still there', () => {
    const folded = Buffer.from(foldGraph(onnxFile(smallGraph(usual)), 'image', sizes)!.bytes).toString('latin1');
    for (const words of ['the test', 'note', 'kept', 'of the graph', 'of the model', 'the Conv of', 'small']) assert.ok(folded.includes(words), words);
  });

  test('what nothing takes any more is gone, and nothing is there twice', () => {
    const file = onnxFile(smallGraph({ ...usual, constantNodes: true }));
    const folded = Buffer.from(foldGraph(file, 'image', sizes)!.bytes);
    assert.ok(folded.length < file.length + 200, `${folded.length}, was ${file.length}`);
    assert.equal(foldGraph(folded, 'image', sizes), null, 'folding it again does nothing');
  });
});

describe('an int8 convolution', () => {
  const pixels = "the pixels are the first convolution's input";
  const groups = 'its pixels in groups of four';
  for (const [name, options, done] of [
    ['takes the pixels where each level is quantised to itself', {}, [pixels, groups]],
    ['with the order of the channels in its weights', { order: [2, 1, 0] }, [pixels, groups]],
    ['with padding on all sides', { pads: [1, 1, 1, 1] }, [pixels, groups]],
    ['with a kernel of 7 and padding of 3', { kernel: 7, pads: [3, 3, 3, 3] }, [pixels, groups]],
    ['with a kernel of 5, more padding on the left', { kernel: 5, pads: [2, 2, 1, 1] }, [pixels, groups]],
    ['of stride 1 stays as it is', { strides: [1, 1], pads: [1, 1, 1, 1] }, [pixels]],
    ['of stride 1 across alone, too', { strides: [2, 1], pads: [1, 1, 1, 1] }, [pixels]],
    ['without a bias, scales for all outputs together', { bias: false, perTensor: true }, [pixels, groups]],
    ['of a mean and scale by channel, plane by plane', { order: [2, 1, 0], scale: [0.0171, 0.0175, 0.0174], mean: [123.7, 116.3, 103.5] }, ['order of the channels in the first convolution']],
    ['of outputs that are no multiple of what goes together', { outputs: 12 }, [pixels]],
    ['of weights whose zero is not 0', { weightZero: 3 }, [pixels]],
  ] as const) {
    test(name, async () => assert.deepEqual(await folds(onnxFile(quantisedGraph(options)), 1e-6), done));
  }

  test('does not take the pixels where quantising and dequantising differ', () => {
    const found = foldGraph(onnxFile(quantisedGraph({ scaleBack: 0.01, order: [2, 1, 0] })), 'image', sizes);
    assert.deepEqual(found?.done, ['order of the channels in the first convolution']);
  });
});

describe('a pool takes the padding before it', () => {
  const simple: Small = { steps: [['Transpose'], ['Cast']] };
  for (const value of [-Infinity, -3.4028234663852886e38]) {
    test(`with ${value}`, async () => assert.deepEqual(await folds(onnxFile(smallGraph({ ...simple, pool: { value } })), 0), ['padding in a pool']));
  }
  test('on some sides, of an automatic kind', async () =>
    assert.deepEqual(await folds(onnxFile(smallGraph({ ...simple, pool: { value: -Infinity, pads: [0, 0, 0, 1, 0, 0, 1, 0], auto: 'VALID' } })), 0), ['padding in a pool']));
  for (const [name, pool] of [
    ['with another value', { value: 0 }],
    ['of the channels', { value: -Infinity, pads: [0, 1, 1, 1, 0, 0, 1, 1] }],
    ['wider than the kernel', { value: -Infinity, pads: [0, 0, 3, 0, 0, 0, 0, 0] }],
    ['that cuts off', { value: -Infinity, pads: [0, 0, -1, 0, 0, 0, 0, 0] }],
    ['by a pool that pads too', { value: -Infinity, auto: 'SAME_UPPER' }],
    ['by a pool that rounds up', { value: -Infinity, ceil: true }],
    ['by a pool that tells where', { value: -Infinity, indices: true }],
  ] as const) {
    test(`not ${name}`, () => leftAlone(onnxFile(smallGraph({ ...simple, pool }))));
  }
});

describe('what is no graph', () => {
  test('is said to be none, wherever it is torn', async () => {
    const whole = onnxFile(smallGraph({ steps: [['Cast'], ['Mul', { type: 'float32', dims: [3], values: [2, 3, 4] }], ['Transpose']] }));
    for (let length = 0; length < whole.length; length += 7) {
      try {
        foldGraph(whole.subarray(0, length), 'image', sizes);
      } catch (error) {
        assert.ok(error instanceof TypeError && /no protobuf message|no ONNX model/.test(error.message), String(error));
      }
    }
    assert.throws(() => foldGraph(Buffer.from('not a graph'), 'image', sizes), TypeError);
  });

  test('with any byte another, is folded, left alone or refused, and nothing else', () => {
    const whole = onnxFile(quantisedGraph({}));
    for (let at = 0; at < whole.length; at += 3) {
      const torn = Buffer.from(whole);
      torn[at] = torn[at]! ^ (1 << (at % 8));
      try {
        foldGraph(torn, 'image', sizes);
      } catch (error) {
        assert.ok(error instanceof TypeError || error instanceof RangeError, String(error));
      }
    }
  });
});

test('a graph whose folded answers would be others runs as its file has it, and says so', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'saccade-fold-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'model.onnx');
  // Weight x scale is among the smallest numbers there are, where float32 has one digit; the sums of the file's way have three more.
  await writeFile(path, onnxFile(smallGraph({ steps: [['Cast'], ['Mul', { type: 'float32', dims: [3], values: [1e-32, 2e-32, 3e-32] }], ['Transpose']], weightScale: 1e-12, after: 1e38 })));
  const [faces] = await modelsNamed('ultraface');
  const card = { ...faces!.card, name: 'tiny', input: { ...faces!.card.input, height, width }, outputs: { y: { shape: `[N,4,${height / 2},${width / 2}]`, meaning: '' } } };
  const said: string[] = [];
  const engine = await engineWith([{ ...faces!, card, path }], clock, { workers: 2, log: (line) => said.push(line) });
  t.after(() => engine.close());
  assert.deepEqual(said, ['tiny@1 runs as its file has it: folded, its y would be another']);
  assert.deepEqual(engine.about({ ...faces!, card, path }).folding.done, []);
  const [result] = await engine.run({ ...faces!, card, path }, [row(picture.slice(0, height * width * 3))]);
  assert.ok(result?.ok);
  assert.deepEqual([...result.outputs.y!], [...(await answer(await readFile(path)))].slice(0, result.outputs.y!.length));
});
