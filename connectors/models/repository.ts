/** The model repository: NAME/VERSION/{card.json, model.onnx, labels}. Nothing is served that its card does not describe. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { keyOf, type Model } from '../../schemas/model-card.ts';
import { SaccadeError } from '../errors.ts';
import { type AnyCard, readCard } from './card.ts';
import { invalid, readText } from './files.ts';
import { parseModelChoice, type ModelChoice } from './model-choice.ts';

/** Pictures that come with Saccade: a card may name one of them as its golden image. */
const media = fileURLToPath(new URL('../../media', import.meta.url));

export interface Repository {
  /**
   * A model with its card validated, its labels read and its graph's SHA-256 checked; `version` null: the highest whose card does not say otherwise.
   * A head comes with its backbone. Throws invalid_model naming the file and field.
   */
  load(choice: ModelChoice): Promise<Model>;
  /** Its card alone: also of a model whose graph or labels are not what the card says. Throws as load() does. */
  card(choice: ModelChoice): Promise<AnyCard>;
  /** The bytes of the picture its card names; null when it names none. */
  golden(model: Model): Promise<Buffer | null>;
  names(): Promise<string[]>;
  /** Ascending. Throws invalid_model when there is no such model, or no version of it. */
  versions(name: string): Promise<string[]>;
  /** The version that the name alone means. Throws as versions() does. */
  usual(name: string): Promise<string>;
}

export function openRepository(folder: string): Repository {
  const root = resolve(folder);
  return {
    load: (choice) => loadModel(root, choice),
    card: async (choice) => readCard(await folderOf(root, choice), choice.name),
    golden: async (model) => (model.card.golden ? readFile(goldenFile(model, model.card.golden.image)) : null),
    names: async () => (await readdir(root, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map(({ name }) => name).sort(),
    versions: (name) => versionsOf(root, name),
    usual: (name) => usualVersion(root, name),
  };
}

/**
 * The models wanted, in the order asked for. Throws as load() does, and invalid_config for a choice that cannot be read or
 * a name wanted twice (a model's name is its topic: one version of it is served).
 */
export async function loadModels(root: string, wanted: readonly string[]): Promise<Model[]> {
  const choices = wanted.map(parseModelChoice);
  const seen = new Set<string>();
  for (const { name } of choices) {
    if (seen.has(name)) throw new SaccadeError('invalid_config', `model ${name} is wanted twice: one version of a model is served`);
    seen.add(name);
  }
  return Promise.all(choices.map((choice) => loadModel(resolve(root), choice)));
}

const folderOf = async (root: string, { name, version }: ModelChoice): Promise<string> =>
  join(root, name, version ?? (await usualVersion(root, name)));

/** The highest whose card does not leave that to others. */
async function usualVersion(root: string, name: string): Promise<string> {
  const versions = await versionsOf(root, name);
  for (const version of versions.toReversed()) {
    // One without a sound card is not passed over in silence.
    const card = await readCard(join(root, name, version), name).catch(() => null);
    if (card?.default !== false) return version;
  }
  return versions.at(-1)!;
}

async function loadModel(root: string, choice: ModelChoice): Promise<Model> {
  const folder = await folderOf(root, choice);
  const card = await readCard(folder, choice.name);
  const labels = card.labels === undefined ? [] : await readLabels(folder, card);
  const file = join(folder, 'card.json');
  const path = join(folder, 'model.onnx');
  const sum = await sha256(path);
  if (sum !== card.sha256) throw invalid(path, `SHA-256 is ${sum}, card.json says sha256 ${card.sha256}`);
  const model = card.task === 'head' ? await onBackbone(root, card, { path, labels }) : { card, path, labels };
  const known = new Set(card.task === 'faces' ? ['face'] : labels);
  const strange = Object.keys(card.thresholds.classes).find((label) => !known.has(label));
  if (strange !== undefined) throw invalid(file, `thresholds.classes: ${strange} is not among its labels`);
  if (card.golden) goldenFile(model, card.golden.image);
  return model;
}

/** A head as the model it makes of its backbone: the same pictures in, its own classes out. */
async function onBackbone(root: string, card: AnyCard & { task: 'head' }, found: Omit<Model, 'card'>): Promise<Model> {
  const { task: _head, ...rest } = card;
  const file = join(root, card.name, card.version, 'card.json');
  const choice = parseModelChoice(card.head.backbone);
  const backbone = await loadModel(root, choice);
  if (backbone.backbone) throw invalid(file, `head.backbone: ${keyOf(backbone)} is a head itself`);
  const embedding = backbone.card.outputs[card.head.embedding];
  if (!embedding || !/^\[N, ?\d+\]$/.test(embedding.shape)) throw invalid(file, `head.embedding: ${keyOf(backbone)} has no output ${card.head.embedding} of the shape [N,size]`);
  return { ...found, card: { ...rest, task: 'classification', input: backbone.card.input }, backbone };
}

/** Throws invalid_model when it is neither beside the card nor in media/. */
function goldenFile({ card, path }: Model, image: string): string {
  const folder = resolve(path, '..');
  const file = [folder, media].map((place) => resolve(place, image)).find((one, i) => one.startsWith([folder, media][i] + sep) && existsSync(one));
  if (file === undefined) throw invalid(join(folder, 'card.json'), `golden.image: ${image} is neither beside the card of ${card.name} nor in media/`);
  return file;
}

async function versionsOf(root: string, name: string): Promise<string[]> {
  const folder = join(root, name);
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw invalid(folder, 'no such model in the repository', error);
  });
  const versions = entries.filter((entry) => entry.isDirectory() && /^\d+$/.test(entry.name)).map((entry) => entry.name);
  if (versions.length === 0) throw invalid(folder, 'has no version folder (1, 2, …)');
  // As numbers: version 10 comes after version 9.
  return versions.sort((a, b) => Number(a) - Number(b));
}

async function readLabels(folder: string, card: AnyCard): Promise<string[]> {
  const file = resolve(folder, card.labels!);
  // A card is data from elsewhere: it names a file of its own folder or none.
  if (!file.startsWith(folder + sep)) throw invalid(join(folder, 'card.json'), `labels: ${card.labels} lies outside the model's folder`);
  const labels = (await readText(file)).replace(/\n$/, '').split(/\r?\n/);
  const blank = labels.indexOf('');
  if (blank >= 0) throw invalid(file, `line ${blank + 1} is empty`);
  const classes = card.outputs.probabilities?.shape.match(/(\d+)\]$/)?.[1];
  if (classes !== undefined && Number(classes) !== labels.length) {
    throw invalid(file, `has ${labels.length} labels, card.json says outputs.probabilities.shape [N,${classes}]`);
  }
  return labels;
}

/** By stream: a graph may be larger than what one wants to hold in memory twice. */
async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash).catch((error: unknown) => {
    throw invalid(file, 'cannot be read', error);
  });
  return hash.digest('hex');
}
