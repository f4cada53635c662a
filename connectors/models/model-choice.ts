import { SaccadeError } from '../errors.ts';

/** A model as a person asks for it. `version` null: the highest whose card does not say otherwise. */
export interface ModelChoice {
  readonly name: string;
  readonly version: string | null;
}

const shape = /^([a-z0-9][a-z0-9-]*)(?:@(\d+))?$/;

/** Reads `name` or `name@version`. Throws invalid_config, quoting what it was given. */
export function parseModelChoice(text: string): ModelChoice {
  const found = shape.exec(text);
  if (!found) {
    throw new SaccadeError('invalid_config', `model ${JSON.stringify(text)}: expected name or name@version, such as nanodet or nanodet@1`);
  }
  return { name: found[1]!, version: found[2] ?? null };
}
