/** What the commands on models need of the world; main.ts picks it, a test brings its own. */
import type { Clock } from '../../connectors/ports.ts';
import type { Model } from '../../schemas/model-card.ts';
import type { ModelControl } from '../../schemas/model-control.ts';
import type { ModelReport } from '../../schemas/model-report.ts';

export interface ModelWorld {
  /** The version of the settings for null. Throws invalid_model. */
  read(name: string, version: string | null): Promise<Model>;
  names(): Promise<readonly string[]>;
  versions(name: string): Promise<readonly string[]>;
  topics(): Promise<readonly string[]>;
  control(name: string): ModelControl;
  write(name: string, control: ModelControl): Promise<void>;
  /** Models for which something is written, in the order in which it was written last: the same for every command. */
  written(): readonly string[];
  /** Loads it and asks it about its golden image. Throws invalid_model. */
  tryOut(model: Model): Promise<void>;
  /** What loading it folds, for a person. */
  folds(model: Model): Promise<readonly string[]>;
  /** Throws invalid_model when frames cut for one cannot be answered by the other. */
  fits(next: Model, before: Model): void;
  /** Processes that run now and follow the topic, by their name there, with what each has said; null: nothing yet. */
  processes(): Promise<ReadonlyMap<string, ModelReport | null>>;
  /** Takes back what processes have said that are gone: of one that was killed it would stay in the topic for ever. */
  forgetDead(): Promise<void>;
  /** Makes the model's topics. */
  makeTopics(name: string): Promise<void>;
  /** Next offset of each partition, by number. */
  ends(topic: string): Promise<Ends>;
  /** Records below these offsets that a stage has not finished, by the stage's group. */
  left(topic: string, below: Ends): Promise<ReadonlyMap<string, number>>;
  /** Whether any process runs the group. */
  runs(group: string): Promise<boolean>;
  readonly clock: Clock;
}

export type Ends = ReadonlyMap<number, number>;

export type Print = (line: string) => void;
