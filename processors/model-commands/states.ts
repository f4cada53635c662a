/** What the processes that run say of a model, and the wait for them to say what is expected. */
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import type { Model } from '../../schemas/model-card.ts';
import { controlBytes, encodeControl, type ModelControl, type ModelState } from '../../schemas/model-control.ts';
import type { ModelReport } from '../../schemas/model-report.ts';
import type { ModelWorld, Print } from './world.ts';

export const words: Readonly<Record<ModelState, string>> = { loading: 'being loaded', served: 'served', draining: 'being unloaded', gone: 'not served' };

/** How a model that has been loaded by a command fared: without a picture whose answer is known nothing was tried. */
export const triedHere = (model: Model): string =>
  model.card.golden ? 'was loaded and tried here' : 'was loaded here but NOT tried: its card names no golden image, so nobody knows whether its answers are right';

export type Standings = ReadonlyMap<string, ModelReport | null>;
type Standing = ModelReport['models'][string];

const pollMs = 250;

/** Throws bad_request for a name the repository does not have. */
export async function checkKnown(world: Pick<ModelWorld, 'names'>, name: string): Promise<void> {
  const names = await world.names();
  if (!names.includes(name)) throw new SaccadeError('bad_request', `There is no model ${name} in the repository; there is ${names.join(', ')}.`);
}

/** Throws invalid_model for what is too much to tell every process, with the state that it may come to have. */
export function checkSize(name: string, control: ModelControl): void {
  const { length } = encodeControl({ ...control, state: 'draining', since: Date.UTC(2100, 0) });
  if (length > controlBytes) throw new SaccadeError('invalid_model', `What every process is told of ${name}, its card, labels and thresholds, takes ${length} bytes; ${controlBytes} are the most.`);
}

/** As the topic says, else as the processes that run do; `gone` where nobody serves it. */
export function stateOf({ control }: Pick<ModelWorld, 'control'>, processes: Standings, name: string): ModelState {
  const said = [...processes.values()].flatMap((report) => report?.models[name]?.state ?? []);
  return control(name).state ?? said[0] ?? 'gone';
}

export type InTime = (how: () => string) => void;

export const endOf = (limitMs: number, { clock }: Pick<ModelWorld, 'clock'>): InTime => {
  const until = clock.now() + limitMs;
  /** Throws overloaded once the time is up. */
  return (how) => {
    if (clock.now() > until) throw new SaccadeError('overloaded', `It was not done within ${limitMs / 1000} s (--limit): ${how()}.`);
  };
};

/** While somebody waits anyway, a log that cannot be asked at this moment is asked again. */
export async function asked<T>(world: Pick<ModelWorld, 'clock'>, question: () => Promise<T>, inTime: InTime): Promise<T> {
  for (;;) {
    try {
      return await question();
    } catch (thrown) {
      const error = asSaccadeError(thrown);
      if (!error.retryable) throw error;
      inTime(() => error.message);
      await world.clock.sleep(pollMs);
    }
  }
}

/** That a process has brought this writing about, and no earlier one alike. */
export const saysSo = (standing: Standing | undefined, { state, since }: Pick<ModelControl, 'state' | 'since'>): boolean => standing?.state === state && standing.since === since;

/**
 * Resolves once every process that runs has said of the model what is `wanted`, and answers what they say. Throws overloaded
 * when the time is up.
 */
export async function untilAll(world: ModelWorld, name: string, wanted: (standing: Standing | undefined, report: ModelReport) => boolean, doing: string, inTime: InTime, print: Print): Promise<Standings> {
  for (let said = ''; ; await world.clock.sleep(pollMs)) {
    const processes = await asked(world, () => world.processes(), inTime);
    const ready = [...processes.values()].filter((report) => report !== null && wanted(report.models[name], report)).length;
    if (ready === processes.size) return processes;
    const line = `${doing}: ${ready} of ${processes.size} processes`;
    if (line !== said) print((said = line));
    inTime(() => `${processes.size - ready} of ${processes.size} processes have not said that they are ${doing}; one of an earlier version never does`);
  }
}

/** What went wrong with the model, by the stages of the process that says so. */
export function troublesOf(processes: Standings, name: string): { readonly trouble: string; readonly answers: boolean }[] {
  return [...processes.values()].flatMap((report) => {
    const standing = report?.models[name];
    return report && standing && standing.trouble !== null ? [{ trouble: `${report.stages.join(', ')}: ${standing.trouble}`, answers: standing.version !== null }] : [];
  });
}
