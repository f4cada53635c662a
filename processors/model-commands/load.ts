/** `models load NAME`: one more model, in two steps, so that no door opens before every stage behind it can answer. */
import { SaccadeError } from '../../connectors/errors.ts';
import { keyOf, type Model } from '../../schemas/model-card.ts';
import { asItIs, type ModelControl, toldOf } from '../../schemas/model-control.ts';
import type { ModelCommand } from './arguments.ts';
import { checkKnown, checkSize, endOf, saysSo, stateOf, triedHere, troublesOf, untilAll } from './states.ts';
import type { ModelWorld, Print } from './world.ts';

type Asked = Extract<ModelCommand, { name: 'load' }>;

/** Throws bad_request for what cannot be, invalid_model for what cannot be loaded or told, overloaded when the time is up; then all is as it was. */
export async function loadModel(world: ModelWorld, asked: Asked, print: Print): Promise<void> {
  const name = asked.model;
  await checkKnown(world, name);
  const before = world.control(name);
  const state = stateOf(world, await world.processes(), name);
  if (state === 'served') throw new SaccadeError('bad_request', `${name} is served already. Another version of it: models use ${name}@VERSION.`);
  const back = state === 'draining';
  if (back && asked.version !== null && asked.version !== before.version) {
    throw new SaccadeError('bad_request', `${name} is being unloaded as it was. Wait for that (models unload ${name}), or take it back: models load ${name}.`);
  }
  const model = await world.read(name, back ? before.version : asked.version);
  const control: ModelControl = back ? before : { ...asItIs, version: model.card.version, model: toldOf(model) };
  checkSize(name, control);
  await world.tryOut(model);
  print(`${keyOf(model)} ${triedHere(model)}`);
  await world.makeTopics(name);
  async function write(next: ModelControl['state'], of = control): Promise<ModelControl> {
    const written = { ...of, state: next, since: world.clock.now() };
    await world.write(name, written);
    return written;
  }
  const loading = await write('loading');
  try {
    await everywhere(world, asked, model, loading, print);
  } catch (error) {
    // One that was being loaded had a command that was killed: what was before that nobody knows.
    await (before.state === 'loading' ? write('gone', asItIs) : world.write(name, before));
    throw error;
  }
  const served = await write('served');
  const inTime = endOf(asked.limitMs, world);
  const processes = await untilAll(world, name, (one) => saysSo(one, served), 'letting it be asked for', inTime, print);
  for (const { trouble } of troublesOf(processes, name)) print(`!! ${trouble}`);
  if (processes.size === 0) return print(`No process runs on this log: the next one to start serves ${keyOf(model)}.`);
  print(`${keyOf(model)} answers now, as if SACCADE_MODELS named it last; also after a restart, until models unload ${name}`);
  if (![...processes.values()].some((report) => report?.stages.includes('infer'))) print('!! no process infers at present: frames for it wait until one does');
}

async function everywhere(world: ModelWorld, { model: name, limitMs }: Asked, model: Model, loading: ModelControl, print: Print): Promise<void> {
  const processes = await untilAll(world, name, (one) => saysSo(one, loading), 'ready to answer', endOf(limitMs, world), print);
  const failed = troublesOf(processes, name).filter(({ answers }) => !answers);
  if (failed.length > 0) throw new SaccadeError('invalid_model', `${keyOf(model)} works here, but not in every process, so it is not served: ${failed.map(({ trouble }) => trouble).join('; ')}`);
}
