/** `models unload NAME`: a model less, in two steps, so that nothing ends before every door is closed and what came in is answered. */
import { SaccadeError } from '../../connectors/errors.ts';
import { asItIs, type ModelControl } from '../../schemas/model-control.ts';
import { inputTopic, overflowTopic, tensorTopic, tenantTopicPattern } from '../../schemas/topics.ts';
import type { ModelCommand } from './arguments.ts';
import { asked, endOf, type InTime, saysSo, type Standings, stateOf, untilAll, words } from './states.ts';
import type { Ends, ModelWorld, Print } from './world.ts';

type Asked = Extract<ModelCommand, { name: 'unload' }>;

const pollMs = 250;

/** Throws bad_request for what cannot be, overloaded when the time is up: it is being unloaded still then. */
export async function unloadModel(world: ModelWorld, { model: name, force, limitMs }: Asked, print: Print): Promise<void> {
  const state = stateOf(world, await world.processes(), name);
  if (state !== 'draining') check(await world.processes(), name, state, force);
  const inTime = endOf(limitMs, world);
  try {
    // One that was interrupted goes on from when it began: doors have been closed since.
    const before = world.control(name);
    const draining: ModelControl = state === 'draining' ? before : { ...before, state: 'draining', since: world.clock.now() };
    if (state !== 'draining') await world.write(name, draining);
    if (draining.since !== 0) await checkOthers(world, name, state === 'draining' ? { ...before, state: 'served', since: world.clock.now() } : before);
    const said = (writing: ModelControl, doing: string) =>
      untilAll(world, name, (one, { offered }) => saysSo(one, writing) || (one === undefined && !offered.includes(name)), doing, inTime, print);
    await said(draining, 'letting it be asked for no more');
    const there = new Set(await world.topics());
    const givenUp = givenUpBy(world, print);
    const inputs = [inputTopic, ...[...there].filter((topic) => tenantTopicPattern.test(topic))];
    await emptied(world, there, [inputs], givenUp, inTime, print);
    // Until here a record is let in by its own time, which is another machine's or that of a picture from an archive. What lay there
    // before the doors closed has been passed: from here on none is, whatever its time, and so what is counted below is all there is.
    const closed: ModelControl = { ...draining, since: 0 };
    await world.write(name, closed);
    await said(closed, 'letting nothing more in for it');
    await emptied(world, there, [inputs, ['frames', overflowTopic], [tensorTopic(name)]], givenUp, inTime, print);
  } catch (error) {
    if (!(error instanceof SaccadeError) || error.code !== 'overloaded') throw error;
    throw new SaccadeError('overloaded', `${error.detail} ${name} is being unloaded still: run this again to go on, or take it back with models load ${name}.`, error);
  }
  await world.write(name, { ...asItIs, state: 'gone', since: world.clock.now() });
  await untilAll(world, name, (one) => one === undefined, 'without it', inTime, print);
  print(`${name} is gone; what was accepted for it is answered. It stays away after a restart, whatever SACCADE_MODELS says, until models load ${name}`);
}

function check(processes: Standings, name: string, state: ReturnType<typeof stateOf>, force: boolean): void {
  const offered = [...new Set([...processes.values()].flatMap((report) => report?.offered ?? []))];
  if (state !== 'served') {
    const loading = state === 'loading' ? ` To end that, load it to the end first: models load ${name}.` : '';
    throw new SaccadeError('bad_request', `${name} is ${words[state]}; served: ${offered.join(', ') || 'none'}.${loading}`);
  }
  for (const report of processes.values()) {
    if (report?.offered.length === 1 && report.offered[0] === name) throw new SaccadeError('bad_request', `${name} is the last model there is: load another first, models load NAME.`);
    if (!force && report?.offered[0] === name) {
      throw new SaccadeError('bad_request', `${name} answers those who ask for no model by name; ${report.offered[1]} would from then on. If that is meant: models unload ${name} --force.`);
    }
  }
}

/**
 * Two commands at once may each have seen the other's model still there. What was written first goes: whoever finds nothing left behind
 * those takes its own back. Throws bad_request.
 */
async function checkOthers(world: ModelWorld, name: string, back: ModelControl): Promise<void> {
  // Reads the topic to its end: all that was written before ours is known then.
  const processes = await world.processes();
  const written = world.written();
  const before = new Set(written.slice(0, written.indexOf(name) + 1));
  const going = written.filter((one) => {
    const { state, since } = world.control(one);
    // One that is closed for good has been through this, wherever its last writing stands.
    return state === 'gone' || (state === 'draining' && (before.has(one) || since === 0));
  });
  for (const report of processes.values()) {
    // Doors may have been closed already for those that are going, of which one may be coming back.
    const all = report === null ? [] : [...report.offered, ...Object.keys(report.models).filter((one) => report.models[one]!.state !== 'loading')];
    if (all.length === 0 || all.some((one) => !going.includes(one))) continue;
    await world.write(name, back);
    throw new SaccadeError('bad_request', `${name} is the last model there is: ${going.filter((one) => one !== name).join(', ') || 'all others'} began to be unloaded before. Load another first, models load NAME.`);
  }
}

/** The way of a frame, topic by topic: what lies in one when all before it have been passed is all that can still come. */
async function emptied(world: ModelWorld, there: ReadonlySet<string>, way: readonly (readonly string[])[], givenUp: GivenUp, inTime: InTime, print: Print): Promise<void> {
  for (const topics of way) {
    const look = () => Promise.all(topics.filter((topic) => there.has(topic)).map(async (topic): Promise<[string, Ends]> => [topic, await world.ends(topic)]));
    const ends = await asked(world, look, inTime);
    await passed(world, ends, givenUp, inTime, print);
  }
}

/** How long nobody runs a tenant's input, while others are run, before it counts as given up: a restart is shorter. */
const givenUpMs = 30_000;

interface Left {
  readonly topic: string;
  readonly group: string;
  readonly records: number;
}

/** Answers which tenants' inputs are read by nobody any more (the settings name them no longer): what lies there would be waited for in vain. */
type GivenUp = (left: readonly Left[]) => Promise<ReadonlySet<string>>;

function givenUpBy(world: ModelWorld, print: Print): GivenUp {
  const since = new Map<string, number>();
  const givenUp = new Set<string>();
  return async (left) => {
    const usual = left.find(({ topic }) => topic === inputTopic);
    const unread = left.filter(({ topic, records }) => records > 0 && tenantTopicPattern.test(topic) && !givenUp.has(topic));
    // Where the usual input is not run either, it is the pipeline that is away.
    if (!usual || unread.length === 0 || !(await world.runs(usual.group))) return givenUp;
    for (const { topic, group, records } of unread) {
      const now = world.clock.now();
      if (await world.runs(group)) since.delete(topic);
      else if (!since.has(topic)) since.set(topic, now);
      else if (now - since.get(topic)! >= givenUpMs) {
        givenUp.add(topic);
        print(`!! ${records} of ${topic} are not waited for: no process reads it any more`);
      }
    }
    return givenUp;
  };
}

async function passed(world: ModelWorld, ends: readonly (readonly [string, Ends])[], givenUp: GivenUp, inTime: InTime, print: Print): Promise<void> {
  for (let said = ''; ; await world.clock.sleep(pollMs)) {
    const look = () => Promise.all(ends.map(async ([topic, below]) => [...(await world.left(topic, below))].map(([group, records]) => ({ topic, group, records }))));
    const all = await asked(world, look, inTime);
    const inVain = await asked(world, () => givenUp(all.flat()), inTime);
    const open = all.flat().filter(({ topic, records }) => records > 0 && !inVain.has(topic));
    if (open.length === 0) return;
    const told = () => Promise.all(open.map(async ({ topic, group, records }) => `${group} has ${records} of ${topic} left${(await world.runs(group)) ? '' : ' and no process runs it'}`));
    const line = (await asked(world, told, inTime)).join(', ');
    if (line !== said) print((said = line));
    inTime(() => line);
  }
}
