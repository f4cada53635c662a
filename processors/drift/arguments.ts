/** What `drift …` was asked to do. */
import { parseArgs } from 'node:util';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Daytime } from './build-reference.ts';

export type DriftCommand =
  | { readonly name: 'calibrate'; readonly source: string; readonly model: string; readonly tenant: string | null; readonly labels: string }
  | { readonly name: 'list' }
  | { readonly name: 'forget'; readonly source: string; readonly model: string | null; readonly tenant: string | null }
  | {
      readonly name: 'reference';
      readonly source: string;
      /** The source whose windows it is made of. */
      readonly of: string;
      readonly model: string | null;
      readonly tenant: string | null;
      readonly from: number;
      readonly to: number;
      readonly day: Daytime | null;
    };

export const help = `npm run saccade -- drift COMMAND: what is normal for a camera, so that a change of it is seen.

  reference SOURCE --from TIME --to TIME    what SOURCE showed in that time is normal from now on, for each model and the
                                            version that answered last; at least twenty minutes, better a day
      --day 07:00-19:00     a part for the day and one for the night, in UTC
      --of SOURCE           made of what another source showed: a data set played as one, a camera beside it
      --model NAME          for this model alone
  calibrate SOURCE --model NAME --labels FILE
                                            what the model's confidence is worth here, from frames whose labels are known (CSV,
                                            frame_id,label): from then on each window has an estimate of its accuracy
  list                                      the references there are
  forget SOURCE [--model NAME]              nothing is normal any more, and nothing is drift

      --tenant NAME         whose source it is (default SACCADE_TENANT)

A TIME is ISO 8601 (2026-03-01T08:00Z), or how long ago: 24h, 90m, 7d; 0m is now.
Exit codes: 0 done, 1 failed and nothing is changed, 2 asked for something that cannot be, 3 the log or the store cannot be reached.
`;

const refuse = (detail: string): never => {
  throw new SaccadeError('bad_request', detail);
};

const unitMs: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

function time(text: string | undefined, option: string, now: number): number {
  if (text === undefined) return refuse(`drift reference needs ${option}.`);
  const ago = /^(\d+)([mhd])$/.exec(text);
  const at = ago ? now - Number(ago[1]) * unitMs[ago[2]!]! : Date.parse(text);
  return Number.isNaN(at) ? refuse(`${option} is '${text}'; a time such as 2026-03-01T08:00Z or 24h is expected.`) : at;
}

function daytime(text: string | undefined): Daytime | null {
  if (text === undefined) return null;
  const match = /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/.exec(text);
  if (!match) return refuse(`--day is '${text}'; 07:00-19:00 is expected.`);
  const [from, to] = [Number(match[1]) * 60 + Number(match[2]), Number(match[3]) * 60 + Number(match[4])];
  return from === to ? refuse(`--day is '${text}', which is all day; leave it out then.`) : { from, to };
}

/** Throws bad_request naming the argument at fault. `now` in milliseconds since the epoch. */
export function readArguments(argv: readonly string[], now: number): DriftCommand {
  let parsed;
  try {
    const text = { type: 'string' } as const;
    parsed = parseArgs({ args: [...argv], allowPositionals: true, options: { from: text, to: text, day: text, of: text, model: text, tenant: text, labels: text } });
  } catch (error) {
    return refuse((error as Error).message.split('\n')[0]!);
  }
  const { values, positionals: [name, source, ...more] } = parsed;
  if (more.length > 0) refuse(`'${more[0]}' is one argument too many.`);
  if (name === 'list') return { name };
  if (name !== 'reference' && name !== 'forget' && name !== 'calibrate') return refuse(`There is no command 'drift ${name ?? ''}'; there is reference, calibrate, list, forget.`);
  if (source === undefined) return refuse(`drift ${name} needs a source.`);
  const whose = { source, model: values.model ?? null, tenant: values.tenant ?? null };
  if (name === 'forget') return { name, ...whose };
  if (name === 'calibrate') {
    const { model, labels } = values;
    if (model === undefined || labels === undefined) return refuse(`drift calibrate needs ${model === undefined ? '--model' : '--labels'}.`);
    return { name, source, model, tenant: whose.tenant, labels };
  }
  const [from, to] = [time(values.from, '--from', now), time(values.to, '--to', now)];
  if (from >= to) refuse('--from is not before --to.');
  return { name, ...whose, of: values.of ?? source, from, to, day: daytime(values.day) };
}
