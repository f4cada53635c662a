/** Looks again for models that a frame asks for and that are not known, which need not be news: a client may ask for nonsense all day. */
import type { Clock } from '../../connectors/ports.ts';
import type { ModelSet } from '../../schemas/model-set.ts';

/** A door opens for a model only once every process has said that it has it, so what comes in between is nonsense still. */
const everyMs = 2_000;
/** Names are the clients' own words. */
const mostNames = 1_000;

/** Resolves once what may have been decided lately about these models is known. Throws log_unavailable. */
export function lookAgain(models: Pick<ModelSet, 'caughtUp'>, clock: Pick<Clock, 'now'>): (unknown: readonly string[]) => Promise<void> {
  const looked = new Map<string, number>();
  return async (unknown) => {
    const now = clock.now();
    const fresh = (name: string): boolean => Math.abs(now - (looked.get(name) ?? -Infinity)) < everyMs;
    if (unknown.every(fresh)) return;
    await models.caughtUp();
    if (looked.size + unknown.length > mostNames) looked.clear();
    for (const name of unknown) looked.set(name, now);
  };
}
