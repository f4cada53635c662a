/** The commands themselves: everything is checked before anything is written to the topic. */
import { SaccadeError } from '../../connectors/errors.ts';
import type { Model } from '../../schemas/model-card.ts';
import { controlled, toldOf, unknownClasses } from '../../schemas/model-control.ts';
import { tensorTopic } from '../../schemas/topics.ts';
import type { ModelCommand } from './arguments.ts';
import { loadModel } from './load.ts';
import { checkKnown, checkSize, triedHere, words } from './states.ts';
import { unloadModel } from './unload.ts';
import type { ModelWorld, Print } from './world.ts';

export async function runModelCommand(world: ModelWorld, command: Exclude<ModelCommand, { name: 'tune' }>, print: Print): Promise<void> {
  if (command.name === 'list') return list(world, print);
  if (command.name === 'load' || command.name === 'unload') {
    await (command.name === 'load' ? loadModel(world, command, print) : unloadModel(world, command, print));
    // What was asked for is done, whatever becomes of this.
    return world.forgetDead().catch(() => {});
  }
  const { model: name } = command;
  await checkServed(world, name);
  const before = world.control(name);
  if (command.name === 'use') {
    const next = await world.read(name, command.version);
    const running = await world.read(name, before.version).catch(() => null);
    if (running) world.fits(next, running);
    const strange = unknownClasses(before, next);
    if (strange.length > 0) throw new SaccadeError('bad_request', `Thresholds were set for ${strange.join(', ')}, which ${name}@${command.version} does not know. Reset them first: models thresholds ${name} --reset.`);
    const control = { ...before, version: command.version, model: toldOf(next) };
    checkSize(name, control);
    await world.tryOut(next);
    await world.write(name, control);
    return print(`${name}@${command.version} ${triedHere(next)}; every process that infers now loads it and then switches. What cannot says so in /ready.`);
  }
  // Whether it is served stays as it is: where nobody's settings name it, a state of null would mean that it is gone.
  const from = command.reset ? { ...before, score: null, classes: {} } : before;
  const control = { ...from, score: command.score ?? from.score, classes: { ...from.classes, ...command.classes } };
  const model = await world.read(name, before.version);
  const strange = unknownClasses({ ...control, classes: command.classes }, model);
  if (strange.length > 0) throw new SaccadeError('bad_request', `${name}@${model.card.version} has no class ${strange.join(', ')}; it has ${sample(model)}.`);
  checkSize(name, control);
  await world.write(name, control);
  print(`${name}: ${describe(controlled(model, control))}`);
}

/** A model has a topic of its own, which is made when a pipeline that serves it starts. */
async function checkServed(world: ModelWorld, name: string): Promise<void> {
  await checkKnown(world, name);
  const { state } = world.control(name);
  if (state === 'served' || (state === null && (await world.topics()).includes(tensorTopic(name)))) return;
  throw new SaccadeError('bad_request', `${name} is ${words[state ?? 'gone']}. To serve it: models load ${name}.`);
}

async function list(world: ModelWorld, print: Print): Promise<void> {
  const topics = await world.topics();
  const processes = await world.processes();
  for (const name of await world.names()) {
    const control = world.control(name);
    const serving = [...processes.values()].filter((report) => report?.models[name]?.version != null).length;
    const known = topics.includes(tensorTopic(name));
    const told = control.state !== null && control.state !== 'served' ? words[control.state] : serving > 0 ? `served by ${serving} process${serving === 1 ? '' : 'es'}` : known ? null : 'no pipeline on this log has served it';
    print(`${name}${told === null ? '' : `  (${told})`}`);
    for (const version of await world.versions(name)) {
      const model = await world.read(name, version).catch((error: SaccadeError) => error);
      if (model instanceof SaccadeError) print(`  ${version.padEnd(4)} cannot be served: ${model.detail}`);
      else {
        const { semantic_version, task, precision, default: usual } = model.card;
        const chosen = control.version === version ? `  ◀ in use, ${describe(controlled(model, control))}` : '';
        const folds = await world.folds(model);
        print(`  ${version.padEnd(4)} ${semantic_version.padEnd(8)} ${model.card.head ? 'head' : task}, ${precision}${usual ? '' : ', only where this version is named'}${folds.length > 0 ? `, folded when loaded: ${folds.join('; ')}` : ''}${chosen}`);
      }
    }
    if (control.version === null) print(`  in use: the version of the settings${control.score !== null || Object.keys(control.classes).length > 0 ? `, ${JSON.stringify({ score: control.score, classes: control.classes })}` : ''}`);
  }
}

const describe = ({ card: { thresholds } }: Model): string =>
  `score from ${thresholds.score}${Object.entries(thresholds.classes).map(([label, score]) => `, ${label} from ${score}`).join('')}`;

const sample = ({ card, labels }: Model): string => (card.task === 'faces' ? 'face' : `${labels.slice(0, 5).join(', ')}${labels.length > 5 ? ` and ${labels.length - 5} more` : ''}`);
