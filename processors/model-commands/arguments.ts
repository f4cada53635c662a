/** What `models …` was asked to do. */
import { parseArgs } from 'node:util';
import { SaccadeError } from '../../connectors/errors.ts';

export type ModelCommand =
  | { readonly name: 'list' }
  | { readonly name: 'use'; readonly model: string; readonly version: string }
  | { readonly name: 'thresholds'; readonly model: string; readonly reset: boolean; readonly score: number | null; readonly classes: Readonly<Record<string, number>> }
  | { readonly name: 'load'; readonly model: string; readonly version: string | null; readonly limitMs: number }
  | { readonly name: 'unload'; readonly model: string; readonly force: boolean; readonly limitMs: number }
  | { readonly name: 'tune'; readonly models: readonly string[] };

export const help = `npm run saccade -- models COMMAND: how models are served, while they are.

  list                              what the repository holds, and what the running pipeline was told
  load NAME[@VERSION] [--limit S]   one more model answers from now on; it is tried here first, and asked for once every process has it
  unload NAME [--limit S] [--force]
                                    no door lets it be asked for any more, what was accepted for it is answered, then it is gone
  use NAME@VERSION                  another version answers from now on; it is loaded and tried on its golden image first
  thresholds NAME [--score 0.4] [--class person=0.6 …] [--reset]
                                    the least score of an answer, for all classes and for one; --reset: the card's again
  tune [NAME[@VERSION] …]           milliseconds a row by rows of a run, on this machine, and what is chosen by them
  quantise NAME[@VERSION] --pictures FOLDER | --frames N
                                    an int8 version of an fp32 one, judged on pictures of yours or the newest frames; more: quantise --help

--limit: seconds until load (120) or unload (600) gives up waiting; what it says is how things are then. --force: also the model that
answers where none is asked for. What is loaded or unloaded stays so after a restart, whatever SACCADE_MODELS says.

Exit codes: 0 done, 1 failed and nothing is changed (past its limit unload goes on: it says so), 2 asked for something that cannot be, 3 the log cannot be reached.
`;

const refuse = (detail: string): never => {
  throw new SaccadeError('bad_request', detail);
};

function score(text: string, option: string): number {
  const value = Number(text);
  return text.trim() !== '' && value >= 0 && value <= 1 ? value : refuse(`${option}: '${text}' is not a score from 0 to 1.`);
}

function limitMs(text: string): number {
  const seconds = Number(text);
  return /^\d+$/.test(text) && seconds >= 1 && seconds <= 86_400 ? seconds * 1000 : refuse(`--limit is '${text}'; a whole number of seconds from 1 to 86400 is expected.`);
}

const optionsOf = { score: ['thresholds'], class: ['thresholds'], reset: ['thresholds'], limit: ['load', 'unload'], force: ['unload'] } as const satisfies Record<string, readonly string[]>;

/** Throws bad_request naming the argument at fault. */
export function readArguments(argv: readonly string[]): ModelCommand {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { score: { type: 'string' }, class: { type: 'string', multiple: true }, reset: { type: 'boolean' }, limit: { type: 'string' }, force: { type: 'boolean' } },
    });
  } catch (error) {
    return refuse((error as Error).message.split('\n')[0]!);
  }
  const { values, positionals: [name, ...rest] } = parsed;
  for (const option of Object.keys(values)) {
    const owners: readonly string[] = optionsOf[option as keyof typeof optionsOf];
    if (!owners.includes(name ?? '')) refuse(`--${option} belongs to ${owners.join(' and ')}.`);
  }
  switch (name) {
    case 'list':
      return rest.length === 0 ? { name } : refuse(`list takes nothing, not '${rest[0]}'.`);
    case 'tune':
      return { name, models: rest };
    case 'load': {
      const [, model, version] = /^([a-z0-9][a-z0-9-]*)(?:@(\d+))?$/.exec(rest.length === 1 ? rest[0]! : '') ?? [];
      return model ? { name, model, version: version ?? null, limitMs: limitMs(values.limit ?? '120') } : refuse(`load takes one NAME or NAME@VERSION, such as nanodet@1, not '${rest.join(' ')}'.`);
    }
    case 'unload':
      if (rest.length !== 1 || rest[0]!.includes('@')) refuse(`unload takes one NAME, such as nanodet, not '${rest.join(' ')}'.`);
      return { name, model: rest[0]!, force: values.force ?? false, limitMs: limitMs(values.limit ?? '600') };
    case 'use': {
      const [, model, version] = /^([a-z0-9][a-z0-9-]*)@(\d+)$/.exec(rest.length === 1 ? rest[0]! : '') ?? [];
      return model && version ? { name, model, version } : refuse(`use takes NAME@VERSION, such as nanodet@1, not '${rest.join(' ')}'.`);
    }
    case 'thresholds': {
      if (rest.length !== 1) refuse(`thresholds takes one NAME, not '${rest.join(' ')}'.`);
      const classes = (values.class ?? []).map((text): [string, number] => {
        // A label may hold an equals sign; a score does not.
        const at = text.lastIndexOf('=');
        return at > 0 ? [text.slice(0, at), score(text.slice(at + 1), `--class ${text.slice(0, at)}`)] : refuse(`--class: '${text}' is not LABEL=SCORE.`);
      });
      const reset = values.reset ?? false;
      if (!reset && values.score === undefined && classes.length === 0) refuse('thresholds: nothing to change; --score, --class or --reset is expected.');
      return { name, model: rest[0]!, reset, score: values.score === undefined ? null : score(values.score, '--score'), classes: Object.fromEntries(classes) };
    }
    default:
      return refuse(`There is no command 'models ${name ?? ''}'; there is list, load, unload, use, thresholds, tune, quantise.`);
  }
}
