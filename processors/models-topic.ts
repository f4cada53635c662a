/** The topic `models`, read: by a process that infers to switch, by one that does not to know what answers there. */
import { asSaccadeError, withoutCredentials } from '../connectors/errors.ts';
import { parseModelChoice } from '../connectors/models/model-choice.ts';
import type { Repository } from '../connectors/models/repository.ts';
import type { Clock, Log, LogProducer } from '../connectors/ports.ts';
import type { Model } from '../schemas/model-card.ts';
import { asItIs, controlled, modelControlSchema, type ModelControl } from '../schemas/model-control.ts';
import { modelsTopic } from '../schemas/topics.ts';
import { type ControlTable, followTable } from './runtime/control-table.ts';
import type { Settings } from './settings.ts';

export interface ModelsTopicOptions {
  readonly log: Log;
  readonly producer: LogProducer;
  readonly clock: Clock;
  readonly say: (message: string) => void;
  /** Told what was written for a model; nonsense is left out. */
  readonly changed: (name: string, control: ModelControl) => void;
}

export interface ModelsTopic {
  /** How this model is to be served; `asItIs` where nothing, or nonsense, is written. */
  control(name: string): ModelControl;
  close(): Promise<void>;
}

/** Resolves when all that is written has been read. Throws log_unavailable. */
export async function followModelsTopic({ changed, say, ...at }: ModelsTopicOptions): Promise<ModelsTopic> {
  function read(name: string, value: Buffer | null): ModelControl | null {
    if (value === null) return asItIs;
    try {
      return modelControlSchema.parse(JSON.parse(value.toString()));
    } catch (error) {
      // Nobody is there to be answered; what runs goes on.
      say(`the topic ${modelsTopic} holds nonsense for ${name}, which changes nothing: ${withoutCredentials((error as Error).message)}`);
      return null;
    }
  }
  const table: ControlTable = await followTable({
    ...at,
    topic: modelsTopic,
    changed(name, value) {
      const control = read(name, value);
      if (control) changed(name, control);
    },
  });
  return { control: (name) => read(name, table.get(name)) ?? asItIs, close: () => table.close() };
}

export interface ChosenModels {
  /** The model as it is to answer now: its version and thresholds. */
  current(model: Model): Model;
  close(): Promise<void>;
}

export interface ChosenOptions extends Omit<ModelsTopicOptions, 'changed'> {
  readonly repository: Repository;
  readonly settings: Settings;
}

/** For a process that does not infer. What cannot be read from the repository changes nothing: there it is not served either. */
export async function followChosenModels({ repository, settings, ...at }: ChosenOptions): Promise<ChosenModels> {
  const choices = settings.SACCADE_MODELS.map(parseModelChoice);
  const chosen = new Map<string, Model>();
  let changes: Promise<void> = Promise.resolve();
  const apply = async (name: string, control: ModelControl): Promise<void> => {
    const choice = choices.find((one) => one.name === name);
    if (!choice) return;
    try {
      chosen.set(name, controlled(await repository.load({ name, version: control.version ?? choice.version }), control));
    } catch (error) {
      at.say(`${name}: ${asSaccadeError(error).detail}`);
    }
  };
  const topic = await followModelsTopic({ ...at, changed: (name, control) => void (changes = changes.then(() => apply(name, control))) });
  await changes;
  return { current: (model) => chosen.get(model.card.name) ?? model, close: () => topic.close() };
}
