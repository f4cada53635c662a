/** What `models …` was asked to do. */
import { parseArgs } from 'node:util';
import { SaccadeError } from '../../connectors/errors.ts';

export type ModelCommand =
  | { readonly name: 'list' }
  | { readonly name: 'use'; readonly model: string; readonly version: string }
  | { readonly name: 'thresholds'; readonly model: string; readonly reset: boolean; readonly score: number | null; readonly classes: Readonly<Record<string, number>> }
  | { readonly name: 'tune'; readonly models: readonly string[] };

export const help = `npm run saccade -- models COMMAND: how models are served, while they are.

  list                              what the repository holds, and what the running pipeline was told
  use NAME@VERSION                  another version answers from now on; it is loaded and tried on its golden image first
  thresholds NAME [--score 0.4] [--class person=0.6 …] [--reset]
                                    the least score of an answer, for all classes and for one; --reset: the card's again
  tune [NAME[@VERSION] …]           milliseconds a row by rows of a run, on this machine, and what is chosen by them
  quantise NAME[@VERSION] --pictures FOLDER | --frames N
                                    an int8 version of an fp32 one, judged on pictures of yours or the newest frames; more: quantise --help

Exit codes: 0 done, 1 failed and nothing is changed, 2 asked for something that cannot be, 3 the log cannot be reached.
`;

const refuse = (detail: string): never => {
  throw new SaccadeError('bad_request', detail);
};

function score(text: string, option: string): number {
  const value = Number(text);
  return text.trim() !== '' && value >= 0 && value <= 1 ? value : refuse(`${option}: '${text}' is not a score from 0 to 1.`);
}

/** Throws bad_request naming the argument at fault. */
export function readArguments(argv: readonly string[]): ModelCommand {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { score: { type: 'string' }, class: { type: 'string', multiple: true }, reset: { type: 'boolean' } },
    });
  } catch (error) {
    return refuse((error as Error).message.split('\n')[0]!);
  }
  const { values, positionals: [name, ...rest] } = parsed;
  const given = Object.keys(values);
  if (name !== 'thresholds' && given.length > 0) refuse(`--${given[0]} belongs to thresholds.`);
  switch (name) {
    case 'list':
      return rest.length === 0 ? { name } : refuse(`list takes nothing, not '${rest[0]}'.`);
    case 'tune':
      return { name, models: rest };
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
      return refuse(`There is no command 'models ${name ?? ''}'; there is list, use, thresholds, tune, quantise.`);
  }
}
