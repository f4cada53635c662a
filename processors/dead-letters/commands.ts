/** What each command does with the dead letters it finds, and what it says of it. Answers the exit code. */
import type { Command, Selection } from './arguments.ts';
import { findLetters, type Found } from './find-letters.ts';
import { type DeadLetter, homeOf } from './letter.ts';
import { count, plain, table } from './print.ts';
import { type Handled, mark, replay } from './replay.ts';
import { show } from './show.ts';
import type { Output, World } from './world.ts';

const progressEveryMs = 2_000;

/** Throws log_unavailable, not_found, bad_request. */
export async function runCommand(world: World, command: Exclude<Command, { name: 'help' }>, output: Output): Promise<number> {
  if (command.name === 'list') return list(world, command, output);
  if (command.name === 'show') {
    await show(world, command.id, command.out, output);
    return 0;
  }
  const found = await findLetters(world, command.selection);
  if (found.letters.length === 0) {
    output.say(nothing(command.selection, found));
    return 1;
  }
  return command.name === 'replay' ? replayFound(world, command, found, output) : discardFound(world, command.yes, found, output);
}

async function list(world: World, { selection, limit, json }: Extract<Command, { name: 'list' }>, { print, say }: Output): Promise<number> {
  const found = await findLetters(world, selection);
  const newest = found.letters.toReversed().slice(0, limit);
  if (json) for (const { timestamp, ...letter } of newest) print(JSON.stringify({ ...letter, when: new Date(timestamp).toISOString() }));
  else if (newest.length === 0) print(nothing(selection, found));
  else for (const line of table(newest)) print(line);
  const older = found.letters.length - newest.length;
  if (older > 0) say(`${count(older, 'older one')} not shown: --limit ${found.letters.length} shows all.`);
  return 0;
}

function nothing({ topics, codes, sources, ids, since }: Selection, { handled }: Found): string {
  const narrowed = topics.length + codes.length + sources.length + ids.length > 0 || since !== null;
  const gone = handled > 0 ? ` ${count(handled)} ${handled === 1 ? 'has' : 'have'} been handled already; list --handled shows them.` : '';
  return `No ${handled > 0 ? 'unhandled ' : ''}dead letters${narrowed ? ' match' : ''}.${gone}`;
}

/** By reason and topic: what a person wants to know before it happens. */
function summarise({ letters }: Found, where: (letter: DeadLetter) => string): string[] {
  const groups = new Map<string, number>();
  for (const letter of letters) {
    const group = `${plain(letter.code)} ${where(letter)}`;
    groups.set(group, (groups.get(group) ?? 0) + 1);
  }
  return [...groups].toSorted((a, b) => b[1] - a[1]).map(([group, n]) => `  ${String(n).padStart(6)}  ${group}`);
}

async function replayFound(world: World, { rate, dryRun }: Extract<Command, { name: 'replay' }>, found: Found, { print, say }: Output): Promise<number> {
  const total = found.letters.length;
  if (dryRun) {
    print(`${count(total)} would be replayed:`);
    for (const line of summarise(found, ({ topic }) => `→ ${homeOf(topic)}`)) print(line);
    return 0;
  }
  await world.log.ensureTopics([world.handledSpec]);
  let saidAt = world.clock.now();
  const handled = await replay(world, found.letters, rate, (done) => {
    if (world.clock.now() - saidAt < progressEveryMs) return;
    saidAt = world.clock.now();
    say(`${done} of ${total} replayed`);
  });
  print(`${handled.done} of ${count(total)} replayed.`);
  return report(handled, say);
}

function report({ failed, gone, left, ended }: Handled, say: (line: string) => void): number {
  for (const { id, error } of failed) say(`${id} was refused: ${error.message}`);
  if (gone > 0) say(`${count(gone)} had been deleted by retention.`);
  if (ended) say(`It ended early: ${ended.message}`);
  if (left > 0) say(`${count(left)} left: the same command goes on with them.`);
  return failed.length + gone + left > 0 || ended ? 1 : 0;
}

async function discardFound(world: World, yes: boolean, found: Found, { print, say }: Output): Promise<number> {
  const total = found.letters.length;
  if (!yes) {
    print(`${count(total)} would be discarded:`);
    for (const line of summarise(found, ({ topic }) => `in ${topic}`)) print(line);
    say('Nothing was done: discard needs --yes.');
    return 2;
  }
  await world.log.ensureTopics([world.handledSpec]);
  await mark(world, found.letters, 'discarded');
  print(`${count(total)} discarded. The bytes stay until the topic's retention deletes them.`);
  return 0;
}
