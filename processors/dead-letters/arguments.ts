/** The command line, read: what is asked for, or what is wrong with how it was asked. */
import { parseArgs } from 'node:util';
import { SaccadeError } from '../../connectors/errors.ts';
import { idOf, isDeadLetterTopic, type Place } from './letter.ts';

/** Empty lists and null select everything. */
export interface Selection {
  readonly topics: readonly string[];
  readonly codes: readonly string[];
  /** '' is the source of records without a key. */
  readonly sources: readonly string[];
  readonly ids: readonly (Place & { readonly id: string })[];
  /** Milliseconds since the epoch. */
  readonly since: number | null;
  /** Whether those that were handled count. */
  readonly handled: boolean;
}

export type Command =
  | { readonly name: 'help' }
  | { readonly name: 'list'; readonly selection: Selection; readonly limit: number; readonly json: boolean }
  | { readonly name: 'show'; readonly id: Place & { readonly id: string }; readonly out: string | null }
  | { readonly name: 'replay'; readonly selection: Selection; readonly rate: number | null; readonly dryRun: boolean }
  | { readonly name: 'discard'; readonly selection: Selection; readonly yes: boolean };

const refuse = (detail: string): never => {
  throw new SaccadeError('bad_request', detail);
};

const filters = ['topic', 'code', 'source', 'since'] as const;
/** Options of each command, beside --help. */
const accepted: Record<string, readonly string[]> = {
  list: [...filters, 'handled', 'limit', 'json'],
  show: ['out'],
  replay: [...filters, 'id', 'all', 'rate', 'dry-run'],
  discard: [...filters, 'id', 'all', 'yes'],
};

const parse = (argv: readonly string[]) =>
  parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      topic: { type: 'string', multiple: true },
      code: { type: 'string', multiple: true },
      source: { type: 'string', multiple: true },
      id: { type: 'string', multiple: true },
      since: { type: 'string' },
      limit: { type: 'string' },
      rate: { type: 'string' },
      out: { type: 'string' },
      all: { type: 'boolean' },
      handled: { type: 'boolean' },
      json: { type: 'boolean' },
      yes: { type: 'boolean' },
      'dry-run': { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });

type Values = ReturnType<typeof parse>['values'];

/** `now` is what --since counts back from. Throws bad_request naming the argument. */
export function readArguments(argv: readonly string[], now: number): Command {
  let asked: ReturnType<typeof parse>;
  try {
    asked = parse(argv);
  } catch (error) {
    return refuse((error as Error).message.split('\n')[0]!);
  }
  const { values } = asked;
  const [name = '', ...rest] = asked.positionals;
  if (values.help) return { name: 'help' };
  const options = accepted[name];
  if (!options) return refuse(name === '' ? 'No command is given: list, show, replay or discard.' : `'${name}' is no command: list, show, replay or discard.`);
  const foreign = Object.keys(values).find((option) => !options.includes(option));
  if (foreign) return refuse(`--${foreign} is no option of ${name}; it has ${options.map((option) => `--${option}`).join(', ')}.`);
  const [first, second] = rest;
  const unexpected = name === 'show' ? second : first;
  if (unexpected !== undefined) return refuse(`'${unexpected}' is not expected after ${name}${name === 'show' ? ' ID' : ''}.`);

  if (name === 'show') return { name, id: placeOf('ID', first ?? refuse('show needs the ID of a dead letter, as list prints it.')), out: values.out ?? null };
  const selection = selectionOf(values, now);
  if (name === 'list') return { name, selection, limit: positive('limit', values.limit ?? '50', true), json: values.json ?? false };
  requireChoice(name, values);
  if (name === 'discard') return { name, selection, yes: values.yes ?? false };
  const rate = values.rate === undefined ? null : positive('rate', values.rate.replace(/\/s$/, ''), false);
  return { name: 'replay', selection, rate, dryRun: values['dry-run'] ?? false };
}

/** What changes the log says what it is meant for: forgetting an option must not mean everything. */
function requireChoice(name: string, values: Values): void {
  const narrowed = (['id', ...filters] as const).filter((option) => values[option] !== undefined);
  if (!values.all && narrowed.length === 0) refuse(`Say which to ${name}: --all, --id, --code, --topic, --source or --since.`);
  if (values.all && narrowed.length > 0) refuse(`--all and --${narrowed[0]} exclude each other.`);
}

function selectionOf(values: Values, now: number): Selection {
  return {
    topics: (values.topic ?? []).map(deadLetterTopicOf),
    codes: values.code ?? [],
    sources: values.source ?? [],
    ids: (values.id ?? []).map((id) => placeOf('--id', id)),
    since: values.since === undefined ? null : sinceOf(values.since, now),
    handled: values.handled ?? false,
  };
}

/** Both `frames` and `frames.dlq` mean the dead letters of frames. */
const deadLetterTopicOf = (topic: string): string => (isDeadLetterTopic(topic) ? topic : `${topic}.dlq`);

function placeOf(argument: string, text: string): Place & { readonly id: string } {
  const [, topic, partition, offset] = /^([\w.-]+)\/(\d{1,9})@(\d{1,15})$/.exec(text) ?? [];
  if (topic === undefined) return refuse(`${argument} is '${text}'; topic/partition@offset is expected, as list prints it: frames.dlq/3@17.`);
  const place = { topic: deadLetterTopicOf(topic), partition: Number(partition), offset: Number(offset) };
  return { ...place, id: idOf(place) };
}

function positive(option: string, text: string, whole: boolean): number {
  const value = Number(text);
  if (text.trim() === '' || !(value > 0) || value > 1e9 || (whole && !Number.isInteger(value))) {
    return refuse(`--${option} is '${text}'; a ${whole ? 'whole number' : 'number'} above 0 is expected.`);
  }
  return value;
}

const units: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function sinceOf(text: string, now: number): number {
  const [, count, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  if (count !== undefined) return now - Number(count) * units[unit!]!;
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? refuse(`--since is '${text}'; a span such as 30m, 2h or 7d is expected, or a time such as 2026-01-31T12:00Z.`) : at;
}
