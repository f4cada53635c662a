/** Waits until a topic rests: no record comes in, and every stage that reads it has finished with what lies there. */
import { SaccadeError } from '../../connectors/errors.ts';
import type { Output } from './command.ts';
import type { World } from './world.ts';

const pollMs = 250;
/** For how long no record must have come from producers that nobody here can hold. */
export const quietMs = 5_000;

export type Ends = ReadonlyMap<string, number>;

/** Next offset of each partition, by topic and number. */
export async function endsOf({ log }: Pick<World, 'log'>, topics: readonly string[]): Promise<Ends> {
  const ends = (await Promise.all(topics.map((topic) => log.endOffsets(topic)))).flat();
  return new Map(ends.map(({ topic, partition, offset }) => [`${topic}/${partition}`, offset]));
}

/** Records that have come in since; partitions that are new do not count. */
export const grownSince = (before: Ends, now: Ends): number => [...before].reduce((sum, [key, offset]) => sum + (now.get(key) ?? offset) - offset, 0);

/** Resolves with the ends once none has moved for `quietMs`. Ends early, by throwing, when the signal does. */
export async function untilQuiet(world: World, topics: readonly string[], output: Output, signal: AbortSignal): Promise<Ends> {
  let ends = await endsOf(world, topics);
  let since = world.clock.now();
  for (let told = 0; world.clock.now() - since < quietMs; ) {
    await world.clock.sleep(pollMs, signal);
    signal.throwIfAborted();
    const now = await endsOf(world, topics);
    const grown = grownSince(ends, now);
    if (grown === 0) continue;
    ends = now;
    since = world.clock.now();
    if (since - told <= 2_000) continue;
    output.say(`${topics.join(', ')}: records still come in (${grown} more)`);
    told = since;
  }
  return ends;
}

/** Resolves when no reading stage has anything left. The signal's reason ends the waiting; what was left then is in `left`. */
export async function untilDrained(world: World, topics: readonly string[], output: Output, signal: AbortSignal): Promise<void> {
  const pairs = topics.flatMap((topic) => world.readers(topic).map((group) => ({ topic, group })));
  for (let said = ''; ; await world.clock.sleep(pollMs, signal)) {
    const left = await Promise.all(pairs.map(async (pair) => ({ ...pair, records: await world.unfinished(pair.group, pair.topic) })));
    const open = left.filter(({ records }) => records > 0);
    if (open.length === 0) return;
    if (signal.aborted) throw await stuck(world, open, signal.reason);
    const line = `draining: ${open.map(({ group, topic, records }) => `${group} has ${records} of ${topic} left`).join(', ')}`;
    if (line !== said) output.say((said = line));
  }
}

async function stuck({ admin }: World, open: readonly { readonly group: string; readonly topic: string; readonly records: number }[], reason: unknown): Promise<unknown> {
  if (!(reason instanceof SaccadeError)) return reason;
  const lines = await Promise.all(
    open.map(async ({ group, topic, records }) => {
      const nobody = !(await admin.liveGroups(group)).has(group);
      return `${group} has ${records} records of ${topic} left${nobody ? ' and no process runs it' : ''}`;
    }),
  );
  return new SaccadeError(reason.code, `${reason.detail} ${lines.join('; ')}.`, reason);
}
