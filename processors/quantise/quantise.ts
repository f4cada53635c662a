/** Makes the int8 version: tensors to calibrate on, the graph, the comparison with fp32, the card. */
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Model, ModelCard } from '../../schemas/model-card.ts';
import { agreementOf, type Agreement, type Answer } from './agreement.ts';
import type { QuantiseArguments } from './arguments.ts';

/** What the work needs of the rest; main.ts brings the pipeline's own decoder, engine and post-processing. */
export interface Workshop {
  /** `count` tensors (uint8 RGB, height x width x 3) cut from a picture; the first is the whole picture as the pipeline cuts it. */
  tensors(picture: Buffer, input: ModelCard['input'], count: number, random: () => number): Promise<Buffer[]>;
  /** Answers of a model, one for each tensor, and the milliseconds a tensor took. */
  answers(model: Model, tensors: readonly Buffer[]): Promise<{ readonly answers: Answer[]; readonly ms: number }>;
  /** Writes the int8 graph. */
  quantise(job: { model: string; tensors: string; shape: readonly number[]; input: string; out: string; operators: readonly string[] }): Promise<void>;
  overlap: Parameters<typeof agreementOf>[2];
  say(line: string): void;
}

export interface Quantised {
  readonly agreement: Agreement;
  /** Milliseconds of one tensor on one thread, before and after. */
  readonly ms: readonly [number, number];
  readonly bytes: readonly [number, number];
  /** The new version's folder; null when nothing was kept (--dry-run). */
  readonly folder: string | null;
  readonly version: string;
}

/** Boxes are decoded inside the detectors' graphs: in int8 they would snap to a grid. */
const convolutions = ['Conv', 'MatMul', 'Gemm'];

/**
 * Throws bad_request (too few pictures, not an fp32 model, agreement below the limit: nothing is kept then), undecodable_image
 * and the like for a picture, internal when Python's part fails.
 */
export async function quantiseModel(model: Model, pictures: readonly Buffer[], asked: QuantiseArguments, shop: Workshop): Promise<Quantised> {
  const { card } = model;
  if (card.precision !== 'fp32') throw new SaccadeError('bad_request', `${card.name}@${card.version} is ${card.precision}; an fp32 version is needed, such as ${card.name}@1.`);
  if (pictures.length < 4) throw new SaccadeError('bad_request', `${pictures.length} pictures are too few to calibrate on and to compare with: give at least 4, better 50.`);
  const random = randomFrom(asked.seed);
  // By picture, not by tensor: a cut of a picture that was calibrated on would prove little.
  const held = pictures.filter((_, at) => at % 4 === 3);
  const used = pictures.filter((_, at) => at % 4 !== 3);
  const cuts = async (of: readonly Buffer[], total: number): Promise<Buffer[]> =>
    (await Promise.all(of.map((picture, at) => shop.tensors(picture, card.input, Math.max(1, share(total, of.length, at)), random)))).flat();
  const tensors = await cuts(used, asked.renderings);
  const judged = await cuts(held, Math.max(held.length, asked.renderings));

  const scratch = await mkdtemp(join(tmpdir(), 'saccade-quantise-'));
  try {
    const version = await nextVersion(dirname(dirname(model.path)));
    shop.say(`calibrating ${card.name}@${card.version} on ${tensors.length} tensors of ${used.length} pictures`);
    await writeFile(join(scratch, 'tensors'), Buffer.concat(tensors));
    const path = join(scratch, 'model.onnx');
    await shop.quantise({
      model: model.path,
      tensors: join(scratch, 'tensors'),
      shape: [tensors.length, card.input.height, card.input.width, 3],
      input: card.input.name,
      out: path,
      operators: asked.operators ?? (card.task === 'classification' ? [] : convolutions),
    });
    const graph = await readFile(path);
    const quantised: ModelCard = {
      ...card,
      version,
      semantic_version: nextMinor(card.semantic_version),
      precision: 'int8',
      // Should it not load one day, the version it was made from answers.
      fallback: card.version,
      description: `Version ${card.version} quantised: QDQ static int8, weights by channel.`,
      source: `Version ${card.version} by onnxruntime.quantization, calibrated on ${tensors.length} tensors of ${used.length} pictures.`,
      sha256: createHash('sha256').update(graph).digest('hex'),
    };
    shop.say(`comparing on ${judged.length} tensors of ${held.length} other pictures`);
    const before = await shop.answers(model, judged);
    const after = await shop.answers({ ...model, card: quantised, path }, judged);
    const agreement = agreementOf(before.answers, after.answers, shop.overlap);
    if (agreement.of === 0) throw new SaccadeError('bad_request', `${card.name} finds nothing in the pictures that were held out, so nothing can be compared: give pictures of what it is to see.`);
    const kept = { agreement, ms: [before.ms, after.ms], bytes: [(await readFile(model.path)).length, graph.length], version } as const;
    if (agreement.share < asked.minAgreement) {
      throw new SaccadeError('bad_request', `Version ${version} would agree with ${card.version} on ${percent(agreement.share)}, below --min-agreement ${percent(asked.minAgreement)}: nothing was kept. More pictures of what the model is to see help most; fewer --operators too.`);
    }
    if (asked.dryRun) return { ...kept, folder: null };
    return { ...kept, folder: await keep(model, quantised, agreement, path) };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Into place in one step: a version that is half there would be the highest one at the next start. */
async function keep(model: Model, card: ModelCard, agreement: Agreement, graph: string): Promise<string> {
  const from = dirname(model.path);
  const folder = join(dirname(from), card.version);
  const unfinished = `${folder}.new`;
  await mkdir(unfinished, { recursive: true });
  if (card.labels !== undefined) await cp(join(from, card.labels), join(unfinished, card.labels));
  await cp(graph, join(unfinished, 'model.onnx'));
  const source = `${card.source} Agreement with it: ${percent(agreement.share)} of ${agreement.of / (card.task === 'classification' ? 2 : 1)} ${card.task === 'classification' ? 'held-out tensors' : 'boxes of either'}.`;
  await writeFile(join(unfinished, 'card.json'), `${JSON.stringify({ ...card, source }, null, 2)}\n`);
  await rename(unfinished, folder);
  return folder;
}

async function nextVersion(folder: string): Promise<string> {
  const taken = (await readdir(folder)).filter((name) => /^\d+$/.test(name)).map(Number);
  return String(Math.max(0, ...taken) + 1);
}

/** The same classes at another accuracy. */
const nextMinor = (version: string): string => version.replace(/^(\d+)\.(\d+)\..*$/, (_, major: string, minor: string) => `${major}.${Number(minor) + 1}.0`);

export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** The `at`-th part of `total` in `parts` nearly equal ones. */
const share = (total: number, parts: number, at: number): number => Math.floor(((at + 1) * total) / parts) - Math.floor((at * total) / parts);

/** Numbers 0..1 that depend on the seed alone. */
function randomFrom(seed: number): () => number {
  let drawn = 0;
  return () => createHash('sha256').update(`${seed}/${drawn++}`).digest().readUInt32LE() / 2 ** 32;
}
