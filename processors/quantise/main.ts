/** `npm run saccade -- models quantise NAME[@VERSION] …`: an int8 version of a model, made and judged on pictures of the user's. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SaccadeError } from '../../connectors/errors.ts';
import { loadModels, openRepository } from '../../connectors/models/repository.ts';
import { pythonWith, runProgram } from '../../deploy/local/python.ts';
import type { Model, ModelCard } from '../../schemas/model-card.ts';
import { listImages } from '../camera/image-files.ts';
import type { Settings } from '../settings.ts';
import { answersOf } from '../infer/answers.ts';
import { inferConfig } from '../infer/config.ts';
import { createEngine, type RowResult } from '../infer/engine.ts';
import { iou } from '../infer/nms.ts';
import { augmented } from '../preprocess/augment.ts';
import { preprocessConfig } from '../preprocess/config.ts';
import { decodeImage } from '../preprocess/decode.ts';
import { cutTensor } from '../preprocess/tensor.ts';
import { openBlobs, openRunningLog, openRunningRegistry } from '../connect.ts';
import { maskPolicyOf, openMasking } from '../masking.ts';
import { policyAsked } from '../policies-topic.ts';
import { systemClock } from '../runtime/clock.ts';
import type { Answer } from './agreement.ts';
import { help, readArguments } from './arguments.ts';
import { frameSource } from './frame-source.ts';
import { newestPictures } from './recent-frames.ts';
import { percent, quantiseModel, type Workshop } from './quantise.ts';

/** The versions this was tried with; another list would be another environment. */
const packages = ['onnxruntime==1.30.0', 'onnx==1.23.2', 'numpy==2.4.6'];
const script = fileURLToPath(new URL('./quantise.py', import.meta.url));

export interface Lines {
  print(line: string): void;
  say(line: string): void;
}

/** Throws what quantiseModel throws, and bad_request for arguments. */
export async function quantiseCommand(argv: readonly string[], settings: Settings, { print, say }: Lines): Promise<void> {
  const asked = readArguments(argv);
  if (asked === null) return help.split('\n').forEach(print);
  const [model] = await loadModels(settings.SACCADE_MODELS_DIR, [asked.model]);
  const pictures = typeof asked.pictures === 'string' ? await picturesIn(asked.pictures) : await picturesOfFrames(asked.pictures.frames, settings, say);
  say(`${pictures.length} pictures`);
  const made = await quantiseModel(model!, pictures, asked, workshop(settings, say));
  const { agreement, ms, bytes } = made;
  const mib = (size: number): string => `${(size / 2 ** 20).toFixed(1)} MiB`;
  print(`agreement   ${percent(agreement.share)} (at least ${percent(asked.minAgreement)} asked), scores differ by ${agreement.scoreDifference.toFixed(3)} on average`);
  print(`speed       ${ms[0].toFixed(1)} ms → ${ms[1].toFixed(1)} ms a tensor on one thread${ms[1] > ms[0] ? ': slower; this graph gains nothing from int8 here' : ''}`);
  print(`size        ${mib(bytes[0])} → ${mib(bytes[1])}`);
  print(made.folder === null ? 'nothing kept (--dry-run)' : `kept as     ${made.folder}; ${model!.card.name} without a version now means this one`);
}

async function picturesIn(place: string): Promise<Buffer[]> {
  const files = listImages(resolve(place));
  if (files.length === 0) throw new SaccadeError('bad_request', `--pictures: there is no JPEG, PNG or WebP picture in ${place}.`);
  return Promise.all(files.map((file) => readFile(file)));
}

/** Throws log_unavailable when there is no log that another process can reach. */
async function picturesOfFrames(count: number, settings: Settings, say: (line: string) => void): Promise<Buffer[]> {
  const { log, admin, running, data, close } = openRunningLog(settings, 'saccade-quantise', 'take frames from', 'read its frames');
  const policy = policyAsked({ log, topics: () => admin.topics(), clock: systemClock, settings: maskPolicyOf(settings), say });
  const masking = openMasking({ settings, repository: openRepository(settings.SACCADE_MODELS_DIR), engine: null, clock: systemClock, policy });
  try {
    return await newestPictures(count, frameSource(log, { registry: openRunningRegistry(settings, running), blobs: openBlobs(settings, data), masker: masking.masker }), say);
  } finally {
    await Promise.all([masking.close(), close()]);
  }
}

function workshop(settings: Settings, say: (line: string) => void): Workshop {
  const limits = { ...preprocessConfig.parse({}), maxPixels: settings.SACCADE_MAX_PIXELS };
  return {
    say,
    overlap: iou,
    async tensors(picture, input, count, random) {
      const bitmap = await decodeImage(picture, [input], limits);
      const renderings = [bitmap, ...Array.from({ length: count - 1 }, () => augmented(bitmap, random).bitmap)];
      return Promise.all(renderings.map(async (each) => (await cutTensor(each, input)).pixels));
    },
    async answers(model, tensors) {
      const engine = createEngine({ ...inferConfig.parse({ workers: 1, intraOpThreads: 1, maxBatch: 1, providers: ['cpu'] }), clock: systemClock });
      try {
        await engine.load(model);
        const results: RowResult[] = [];
        // One after the other: what a tensor costs is part of the answer.
        for (const pixels of tensors) results.push(...(await engine.run(model, [{ pixels, source: '', urgent: false, deadline: null }])));
        return {
          answers: results.map((result) => answerOf(result, model)),
          ms: results.reduce((sum, result) => sum + (result.ok ? result.ms : 0), 0) / results.length,
        };
      } finally {
        await engine.close();
      }
    },
    async quantise({ model, tensors, shape, input, out, operators }) {
      const python = await pythonWith(packages, say);
      await runProgram(python, [script, model, tensors, shape.join(','), input, out, ...operators], (line) => {
        if (/^calibrated \d*0\//.test(line)) say(line);
      }).catch((error: Error) => {
        throw new SaccadeError('internal', error.message, error);
      });
    },
  };
}

/** Boxes in pixels of the tensor. */
function answerOf(result: RowResult, model: Model): Answer {
  if (!result.ok) throw result.error;
  const { labels, detections } = answersOf(result.outputs, model, whole(model.card.input));
  return { labels, boxes: detections };
}

const whole = ({ width, height }: ModelCard['input']) => ({ image_width: width, image_height: height, x: 0, y: 0, width, height });
