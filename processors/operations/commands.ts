/** The commands of `npm run saccade`, one a line, and their help. */
import { SaccadeError } from '../../connectors/errors.ts';
import type { Command } from './command.ts';
import { facesList, facesSet } from './faces.ts';
import { partitionsAdd } from './partitions-add.ts';

export const commands: readonly Command[] = [partitionsAdd, facesSet, facesList];

/** The command that the arguments begin with, and the arguments after its name. Throws bad_request. */
export function commandOf(argv: readonly string[]): { readonly command: Command; readonly rest: readonly string[] } {
  for (const command of commands) {
    const words = command.name.split(' ');
    if (words.every((word, i) => argv[i] === word)) return { command, rest: argv.slice(words.length) };
  }
  throw new SaccadeError('bad_request', `There is no command '${argv.filter((word) => !word.startsWith('-')).slice(0, 2).join(' ')}'; there is ${commands.map(({ name }) => name).join(', ')}.`);
}

export function help(): string {
  const of = ({ name, usage, summary, options }: Command): string =>
    [`  ${name} ${usage}`, `      ${summary}`, ...options.map(([option, text]) => `      ${option.padEnd(22)} ${text}`)].join('\n');
  return `npm run saccade -- COMMAND: operates a pipeline that runs.

${commands.map(of).join('\n\n')}

  keys create|list|revoke, tenants create|list, audit list|verify
      Who may use the edge, and what they did: see npm run saccade -- keys --help.

  models list|load|unload|use|thresholds|tune|quantise
      How models are served, while they are: see npm run saccade -- models --help.

  drift reference|list|forget
      What is normal for a camera, so that a change is seen: see npm run saccade -- drift --help.

The log is the one of KAFKA_BROKERS, else of the pipeline on SACCADE_DATA. Exit codes: 0 done, 1 failed (what it says is how
things are now), 2 asked for something impossible, 3 the log or the database cannot be reached, 130 interrupted.
`;
}
