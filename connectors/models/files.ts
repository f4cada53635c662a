import { readFile } from 'node:fs/promises';
import { SaccadeError } from '../errors.ts';

export const invalid = (file: string, what: string, cause?: unknown): SaccadeError =>
  new SaccadeError('invalid_model', `${file}: ${what}`, cause);

/** Throws invalid_model naming the file. */
export async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw invalid(file, 'cannot be read', error);
  });
}
