import { parseArgs } from 'node:util';
import { SaccadeError } from '../../connectors/errors.ts';

export const help = `An int8 version of an fp32 model, calibrated on pictures of yours.

  npm run saccade -- models quantise NAME[@VERSION] --pictures FOLDER
  npm run saccade -- models quantise NAME[@VERSION] --frames 200

The calibration decides how well the int8 model does: give it pictures of what the model is to see, some fifty of them. A quarter
of them is held out; on those the int8 model is compared with the fp32 one, and below the limit nothing is kept.

  --pictures PATH        a folder or a glob of JPEG, PNG or WebP pictures
  --frames N             instead, the newest N frames in the log, of all sources; faces in them are covered as in all that is kept
  --renderings N         tensors to calibrate on, cut and mirrored at random from the pictures [64]
  --min-agreement SHARE  the least share of answers that must agree: first labels, or boxes (F1 at IoU 0.5) [0.9]
  --operators LIST       operator types to quantise, with commas [Conv,MatMul,Gemm; all there are for a classifier]
  --seed N               of the cuts [1]
  --dry-run              compare, keep nothing
  --help
`;

export interface QuantiseArguments {
  readonly model: string;
  /** A folder or a glob, or so many of the newest frames. */
  readonly pictures: string | { readonly frames: number };
  readonly renderings: number;
  readonly minAgreement: number;
  /** Null: what suits the model's task. */
  readonly operators: readonly string[] | null;
  readonly seed: number;
  readonly dryRun: boolean;
}

const refuse = (detail: string): never => {
  throw new SaccadeError('bad_request', detail);
};

/** Null when help is asked for. Throws bad_request naming the argument. */
export function readArguments(argv: readonly string[]): QuantiseArguments | null {
  const asked = parse(argv);
  const { values, positionals } = asked;
  if (values.help) return null;
  const [model, more] = positionals;
  if (model === undefined) return refuse('Which model? Give NAME or NAME@VERSION.');
  if (more !== undefined) return refuse(`'${more}' is not expected after ${model}.`);
  if ((values.pictures === undefined) === (values.frames === undefined)) return refuse('Give either --pictures FOLDER or --frames N: what the model is calibrated on and judged by.');
  return {
    model,
    pictures: values.pictures ?? { frames: number('frames', values.frames!, 4, 5_000) },
    renderings: number('renderings', values.renderings ?? '64', 4, 10_000),
    minAgreement: number('min-agreement', values['min-agreement'] ?? '0.9', 0, 1, false),
    operators: values.operators === undefined ? null : values.operators.split(',').map((name) => name.trim()).filter((name) => name !== ''),
    seed: number('seed', values.seed ?? '1', 0, 2 ** 31),
    dryRun: values['dry-run'] ?? false,
  };
}

function parse(argv: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { pictures: text, frames: text, renderings: text, 'min-agreement': text, operators: text, seed: text, 'dry-run': flag, help: { ...flag, short: 'h' } },
    });
  } catch (error) {
    return refuse((error as Error).message.split('\n')[0]!);
  }
}

function number(option: string, text: string, least: number, most: number, whole = true): number {
  const value = Number(text);
  const fine = text.trim() !== '' && value >= least && value <= most && (!whole || Number.isInteger(value));
  return fine ? value : refuse(`--${option} is '${text}'; a ${whole ? 'whole number' : 'number'} from ${least} to ${most} is expected.`);
}
