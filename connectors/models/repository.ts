/** The model repository: NAME/VERSION/{card.json, model.onnx, labels}. Nothing is served that its card does not describe. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { modelCardSchema, type Model, type ModelCard } from '../../schemas/model-card.ts';
import { SaccadeError } from '../errors.ts';
import { parseModelChoice, type ModelChoice } from './model-choice.ts';

/** What post-processing reads of each task's graph. */
const answerOf = { classification: 'probabilities', detection: 'detections', faces: 'faces' } as const;

const invalid = (file: string, what: string, cause?: unknown): SaccadeError =>
  new SaccadeError('invalid_model', `${file}: ${what}`, cause);

/**
 * The models wanted (`name`: its highest version; `name@version`), in the order asked for, each with its card validated,
 * its labels read and its graph's SHA-256 checked. Throws invalid_model naming the file and field, invalid_config for a
 * choice that cannot be read or a name wanted twice (a model's name is its topic: one version of it is served).
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

async function loadModel(root: string, { name, version }: ModelChoice): Promise<Model> {
  const folder = join(root, name, version ?? (await highestVersion(root, name)));
  const card = await readCard(folder, name);
  const labels = card.labels === undefined ? [] : await readLabels(folder, card);
  const path = join(folder, 'model.onnx');
  const sum = await sha256(path);
  if (sum !== card.sha256) throw invalid(path, `SHA-256 is ${sum}, card.json says sha256 ${card.sha256}`);
  return { card, path, labels };
}

async function highestVersion(root: string, name: string): Promise<string> {
  const folder = join(root, name);
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw invalid(folder, 'no such model in the repository', error);
  });
  const versions = entries.filter((entry) => entry.isDirectory() && /^\d+$/.test(entry.name)).map((entry) => entry.name);
  // As numbers: version 10 comes after version 9.
  const highest = versions.sort((a, b) => Number(b) - Number(a))[0];
  if (highest === undefined) throw invalid(folder, 'has no version folder (1, 2, …)');
  return highest;
}

async function readCard(folder: string, name: string): Promise<ModelCard> {
  const file = join(folder, 'card.json');
  const text = await readText(file);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw invalid(file, `is not JSON (${(error as Error).message})`, error);
  }
  const parsed = modelCardSchema.safeParse(json);
  if (!parsed.success) {
    const fields = parsed.error.issues.map((issue) => `${issue.path.join('.') || '(card)'}: ${issue.message}`);
    throw invalid(file, fields.join('; '), parsed.error);
  }
  const card = parsed.data;
  const version = folder.slice(folder.lastIndexOf(sep) + 1);
  if (card.name !== name) throw invalid(file, `name is ${card.name}, its folder says ${name}`);
  if (card.version !== version) throw invalid(file, `version is ${card.version}, its folder says ${version}`);
  if (!(answerOf[card.task] in card.outputs)) throw invalid(file, `outputs: a model for ${card.task} has ${answerOf[card.task]}`);
  return card;
}

async function readLabels(folder: string, card: ModelCard): Promise<string[]> {
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

async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw invalid(file, 'cannot be read', error);
  });
}

/** By stream: a graph may be larger than what one wants to hold in memory twice. */
async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash).catch((error: unknown) => {
    throw invalid(file, 'cannot be read', error);
  });
  return hash.digest('hex');
}
