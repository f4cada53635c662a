/** Calls a stage's `process` so that one bad record harms none of its neighbours, whether it throws or kills the process. */
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import { type Input, type Outcome, reject, retry, type Stage } from '../stage.ts';
import { deathsToCondemn, type Quarantine } from './quarantine.ts';

/** One outcome for each input, in their order. Never throws. */
export function batchProcessor(stage: Stage, quarantine: Quarantine | undefined): (inputs: readonly Input[], signal: AbortSignal) => Promise<readonly Outcome[]> {
  const guard = quarantine?.guard(stage.name);

  /** A throw that is nobody's in particular is halved until it has a culprit, so that one record cannot take its neighbours along. */
  async function processOrBisect(inputs: readonly Input[], signal: AbortSignal): Promise<readonly Outcome[]> {
    try {
      const outcomes = await stage.process(inputs, signal, guard);
      if (outcomes.length === inputs.length) return outcomes;
      throw new SaccadeError('internal', `${outcomes.length} outcomes for ${inputs.length} inputs.`);
    } catch (thrown) {
      const error = asSaccadeError(thrown);
      if (error.retryable) return inputs.map(() => retry(error));
      if (inputs.length === 1) return [reject(error)];
      const middle = inputs.length >> 1;
      return [...(await processOrBisect(inputs.slice(0, middle), signal)), ...(await processOrBisect(inputs.slice(middle), signal))];
    }
  }

  if (!quarantine) return processOrBisect;

  async function processAlone(input: Input, signal: AbortSignal): Promise<Outcome> {
    const deaths = quarantine!.deathsAlone(stage.name, input) ?? 0;
    if (deaths >= deathsToCondemn) return reject(new SaccadeError('kills_process', `It was alone in ${stage.name} at ${deaths} deaths of a process.`));
    const [outcome] = await processOrBisect([input], signal);
    // What could not be tried for want of something (its blob, an engine) has not come through.
    if (outcome!.kind !== 'retry') quarantine!.acquit(stage.name, input);
    return outcome!;
  }

  return async (inputs, signal) => {
    const suspect = inputs.map((input) => quarantine.deathsAlone(stage.name, input) !== null);
    if (!suspect.includes(true)) return processOrBisect(inputs, signal);
    const others = inputs.filter((_, i) => !suspect[i]);
    const [together, alone] = await Promise.all([
      others.length > 0 ? processOrBisect(others, signal) : [],
      Promise.all(inputs.map((input, i) => (suspect[i] ? processAlone(input, signal) : null))),
    ]);
    const next = together.values();
    return alone.map((outcome) => outcome ?? next.next().value!);
  };
}
