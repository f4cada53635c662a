/** `npm run bench -- pruning`: whether setting the smaller weights of a model to zero pays: CPU of a row, and what becomes of the answers. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { SaccadeError } from '../../connectors/errors.ts';
import { loadModels } from '../../connectors/models/repository.ts';
import { pythonWith, runProgram } from '../../deploy/local/python.ts';
import { answersOf } from '../../processors/infer/answers.ts';
import { inferConfig } from '../../processors/infer/config.ts';
import { createEngine, type Engine } from '../../processors/infer/engine.ts';
import { iou } from '../../processors/infer/nms.ts';
import { augmented } from '../../processors/preprocess/augment.ts';
import { preprocessConfig } from '../../processors/preprocess/config.ts';
import { decodeImage } from '../../processors/preprocess/decode.ts';
import { type CutTensor, cutTensor } from '../../processors/preprocess/tensor.ts';
import { agreementOf, type Answer } from '../../processors/quantise/agreement.ts';
import { systemClock } from '../../processors/runtime/clock.ts';
import type { Model } from '../../schemas/model-card.ts';
import { quantile } from '../quantiles.ts';

const packages = ['onnx==1.23.2', 'numpy==2.4.6'];
const photos = ['astronaut', 'coffee', 'chelsea'];
const digits = (value: number): number => Math.round(value * 1000) / 1000;

/** Parts of the photos, the same ones in every run. */
async function tensorsFor({ card: { input } }: Model, count: number): Promise<CutTensor[]> {
  let state = 1;
  const random = (): number => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0), state / 2 ** 32);
  const bitmaps = await Promise.all(photos.map(async (name) => decodeImage(await readFile(new URL(`../../media/${name}.jpg`, import.meta.url)), null, preprocessConfig.parse({}))));
  return Promise.all(Array.from({ length: count }, (_, i) => cutTensor(augmented(bitmaps[i % bitmaps.length]!, random).bitmap, input)));
}

async function prune(model: Model, share: number, folder: string): Promise<{ readonly pruned: Model; readonly zeros: number }> {
  const path = join(folder, `${share}.onnx`);
  let said = '';
  const python = await pythonWith(packages, console.error);
  await runProgram(python, [fileURLToPath(new URL('prune.py', import.meta.url)), model.path, String(share), path], (line) => (said = line));
  const [total, zeros] = said.split(' ').map(Number) as [number, number];
  return { pruned: { ...model, card: { ...model.card, version: String(Math.round(share * 1000)) }, path }, zeros: zeros / total };
}

/** CPU milliseconds of the whole process for each tensor, and the answers. */
async function answer(engine: Engine, model: Model, tensors: readonly CutTensor[]): Promise<{ readonly cpuMs: number; readonly answers: Answer[] }> {
  const answers: Answer[] = [];
  const before = process.cpuUsage();
  for (const { pixels, geometry } of tensors) {
    const [result] = await engine.run(model, [{ pixels, source: '', urgent: false, deadline: null }]);
    if (!result!.ok) throw result!.error;
    const { labels, detections } = answersOf(result!.outputs, model, geometry);
    answers.push({ labels, boxes: detections });
  }
  const { user, system } = process.cpuUsage(before);
  return { cpuMs: (user + system) / 1000 / tensors.length, answers };
}

export async function pruning(argv: readonly string[]): Promise<void> {
  const text = (value: string) => ({ type: 'string', default: value }) as const;
  const { values } = parseArgs({ args: [...argv], options: { model: text('efficientnet-lite0@1'), shares: text('0.3,0.5,0.7'), count: text('21'), rounds: text('3') } });
  const [count, rounds, shares] = [Number(values.count), Number(values.rounds), values.shares.split(',').map(Number)];
  if (!(count >= 1 && rounds >= 1) || shares.some((share) => !(share > 0 && share < 1))) throw new SaccadeError('invalid_config', '--count and --rounds are numbers from 1, --shares are between 0 and 1, with commas.');
  const [model] = await loadModels(fileURLToPath(new URL('../../models', import.meta.url)), [values.model]);
  const folder = await mkdtemp(join(tmpdir(), 'saccade-pruning-'));
  const engine = createEngine({ ...inferConfig.parse({ workers: 1, intraOpThreads: 1, maxBatch: 1, providers: ['cpu'] }), clock: systemClock });
  try {
    const tensors = await tensorsFor(model!, count);
    const contestants = [{ share: 0, zeros: 0, model: model! }];
    for (const share of shares) {
      const { pruned, zeros } = await prune(model!, share, folder);
      contestants.push({ share, zeros, model: pruned });
    }
    for (const each of contestants) await engine.load(each.model);
    const found = contestants.map(() => ({ cpu: [] as number[], answers: [] as Answer[] }));
    // In turn, so that a slower minute of the machine is everybody's; the first round warms up.
    for (let round = 0; round <= rounds; round++) {
      for (const [i, each] of contestants.entries()) {
        const { cpuMs, answers } = await answer(engine, each.model, tensors);
        if (round > 0) found[i]!.cpu.push(cpuMs);
        found[i]!.answers = answers;
      }
    }
    const rows = contestants.map(({ share, zeros }, i) => {
      const { cpu, answers } = found[i]!;
      const [median, least, most] = [0.5, 0, 1].map((q) => digits(quantile(cpu, q)));
      return { pruned: share, zeros: digits(zeros), cpu_ms: median, cpu_least: least, cpu_most: most, agreement: digits(agreementOf(found[0]!.answers, answers, iou).share) };
    });
    console.table(rows);
    console.log(JSON.stringify({ bench: 'pruning', model: values.model, tensors: count, rounds, by_share: rows }));
  } finally {
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  }
}
