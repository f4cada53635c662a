/** `partitions add TOPIC COUNT`: more partitions for a topic, without a newer frame of a source overtaking an older one. */
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import type { Command, Output } from './command.ts';
import { endsOf, grownSince, quietMs, untilDrained, untilQuiet } from './drain.ts';
import { withWritersHeld } from './hold-writers.ts';
import { type Plan, planPartitions } from './partition-plan.ts';
import type { World } from './world.ts';

export interface Asked {
  readonly topic: string;
  readonly count: number;
  readonly dryRun: boolean;
  readonly producersStopped: boolean;
  readonly limitMs: number;
}

const most = 10_000;

function wholeNumber(text: string, what: string, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > max) throw new SaccadeError('bad_request', `${what} is '${text}'; a whole number from 1 to ${max} is expected.`);
  return value;
}

function read(argv: readonly string[]): Asked {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { 'dry-run': { type: 'boolean', default: false }, 'producers-stopped': { type: 'boolean', default: false }, limit: { type: 'string', default: '60' } },
    });
  } catch (error) {
    throw new SaccadeError('bad_request', (error as Error).message.split('\n')[0], error);
  }
  const { values, positionals } = parsed;
  const [topic, count, ...more] = positionals;
  if (topic === undefined || count === undefined || more.length > 0) throw new SaccadeError('bad_request', 'partitions add takes a topic and a count.');
  return {
    topic,
    count: wholeNumber(count, 'COUNT', most),
    dryRun: values['dry-run'],
    producersStopped: values['producers-stopped'],
    limitMs: wholeNumber(values.limit, '--limit', 3_600) * 1000,
  };
}

/** Aborts with the user's wish to stop, and with overloaded when the time is up. */
function limited(stopping: AbortSignal, limitMs: number): { readonly signal: AbortSignal; end(): void } {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new SaccadeError('overloaded', `It was not done within ${limitMs / 1000} s (--limit), and nothing has been changed.`)), limitMs);
  return { signal: AbortSignal.any([stopping, late.signal]), end: () => clearTimeout(timer) };
}

async function tell(world: World, plan: Plan, output: Output): Promise<void> {
  for (const [topic, now] of plan.topics) {
    output.print(`${topic}: ${now} partitions, to become ${plan.count}`);
    if (!plan.drains) continue;
    for (const group of world.readers(topic)) output.print(`  read by ${group}, which has ${await world.unfinished(group, topic)} records left`);
  }
  output.print(plan.why);
  if (plan.drains) output.print(`${(await world.admin.liveGroups(world.followers)).size - 1} processes of Saccade run and would hold`);
}

async function create({ admin }: World, plan: Plan, output: Output): Promise<void> {
  for (const topic of plan.topics.keys()) {
    await admin.addPartitions(topic, plan.count);
    output.print(`${topic} has ${plan.count} partitions`);
  }
}

/** In this order: hold, let it come to rest, drain, look again, create, look again. */
export async function drainAndCreate(world: World, plan: Plan, asked: Pick<Asked, 'limitMs'>, output: Output, stopping: AbortSignal): Promise<void> {
  const topics = [...plan.topics.keys()];
  const { signal, end } = limited(stopping, asked.limitMs);
  try {
    await withWritersHeld(world, topics, `npm run saccade on ${hostname()}, pid ${process.pid}`, output, signal, async (held) => {
      const before = plan.outside ? await untilQuiet(world, topics, output, signal) : await endsOf(world, topics);
      await untilDrained(world, topics, output, signal);
      const grown = grownSince(before, await endsOf(world, topics));
      if (grown > 0) throw new SaccadeError('overloaded', `${grown} records came into ${topics.join(', ')} while its writers held: another program writes to it. Nothing has been changed.`);
      signal.throwIfAborted();
      await held.assure();
      await create(world, plan, output);
      const late = grownSince(before, await endsOf(world, topics));
      if (late > 0) throw new SaccadeError('internal', `The partitions are there, but ${late} records came in from elsewhere at that moment: the order of their sources may not hold.`);
    });
  } catch (error) {
    throw signal.aborted && error === signal.reason ? asSaccadeError(signal.reason) : error;
  } finally {
    end();
  }
}

export const partitionsAdd: Command = {
  name: 'partitions add',
  usage: 'TOPIC COUNT [--dry-run] [--producers-stopped] [--limit S]',
  summary: "Gives a topic (or 'tensors.*', all of them) COUNT partitions. Its writers hold until it is drained, so that order within a source holds.",
  options: [
    ['--dry-run', 'Says what would be done, and does nothing.'],
    ['--producers-stopped', `For frames.in: you have stopped what produces to it. Checked: nothing may come in for ${quietMs / 1000} s.`],
    ['--limit S', 'Gives up after so many seconds, with everything as it was (60).'],
  ],
  async run(argv, open, output, stopping) {
    const asked = read(argv);
    const world = await open();
    const plan = await planPartitions(world, asked.topic, asked.count);
    if (asked.dryRun) return tell(world, plan, output);
    if (!plan.drains) {
      output.say(plan.why);
      return create(world, plan, output);
    }
    if (plan.outside && !asked.producersStopped) {
      throw new SaccadeError('bad_request', `Producers outside write to ${asked.topic}, and nobody here can make them hold: a newer frame of theirs would overtake older ones. Stop them, then say so with --producers-stopped.`);
    }
    await drainAndCreate(world, plan, asked, output, stopping);
  },
};
