import { join, sep } from 'node:path';
import type { z } from 'zod';
import { headCardSchema, modelCardSchema } from '../../schemas/model-card.ts';
import { invalid, readText } from './files.ts';

export type AnyCard = z.infer<typeof modelCardSchema> | z.infer<typeof headCardSchema>;

/** What post-processing reads of each task's graph. */
const answerOf = { classification: 'probabilities', detection: 'detections', faces: 'faces', head: 'probabilities' } as const;

/** The card of a version's folder. Throws invalid_model naming the file and the field at fault. */
export async function readCard(folder: string, name: string): Promise<AnyCard> {
  const file = join(folder, 'card.json');
  const text = await readText(file);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw invalid(file, `is not JSON (${(error as Error).message})`, error);
  }
  const isHead = (json as { task?: unknown } | null)?.task === 'head';
  const parsed = isHead ? headCardSchema.safeParse(json) : modelCardSchema.safeParse(json);
  if (!parsed.success) {
    const fields = parsed.error.issues.map((issue) => `${issue.path.join('.') || '(card)'}: ${issue.message}`);
    throw invalid(file, fields.join('; '), parsed.error);
  }
  const card = parsed.data;
  const version = folder.slice(folder.lastIndexOf(sep) + 1);
  if (card.name !== name) throw invalid(file, `name is ${card.name}, its folder says ${name}`);
  if (card.version !== version) throw invalid(file, `version is ${card.version}, its folder says ${version}`);
  if (card.fallback === version) throw invalid(file, `fallback: ${version} is this version itself`);
  if (!(answerOf[card.task] in card.outputs)) throw invalid(file, `outputs: a model for ${card.task} has ${answerOf[card.task]}`);
  return card;
}
