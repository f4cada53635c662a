/** What adding partitions to a topic would mean: whether order is at stake, who writes and who reads. Asks; changes nothing. */
import { SaccadeError } from '../../connectors/errors.ts';
import { describeTopic, handledTopic } from '../../schemas/topics.ts';
import type { World } from './world.ts';

export interface Plan {
  /** Topics that lack partitions, with how many they have. */
  readonly topics: ReadonlyMap<string, number>;
  readonly count: number;
  /** Keys move to other partitions, so writers must hold until readers have finished. */
  readonly drains: boolean;
  /** Somebody outside writes to it, whom nobody here can ask to hold. */
  readonly outside: boolean;
  readonly why: string;
}

const refuse = (detail: string): never => {
  throw new SaccadeError('bad_request', detail);
};

/** Names of producers in topics.json that are not ours: they follow no pause. */
const outsiders = new Set(['cameras', 'apps']);

/** Throws bad_request for what cannot be done or would do harm. */
export async function planPartitions({ log, admin }: Pick<World, 'log' | 'admin'>, asked: string, count: number): Promise<Plan> {
  const all = await admin.topics();
  const names = asked === 'tensors.*' ? all.filter((name) => describeTopic(name)?.name === asked) : all.filter((name) => name === asked);
  const description = describeTopic(asked);
  if (names.length === 0) refuse(`There is no topic ${asked}. There are: ${all.filter((name) => describeTopic(name)).toSorted().join(', ')}.`);
  if (!description) return refuse(`${asked} is not a topic of Saccade's (schemas/topics.json): who writes it and who reads it is not known here.`);
  if (description.compacted || asked === handledTopic) return refuse(`${asked} is a table whose records keep the order they were written in, in as many partitions as it has: it gets no more.`);
  if (description.name === 'tensors.*' && asked !== 'tensors.*') {
    return refuse(`The topics tensors.* have equally many partitions, so that a stage scales alike for each model. Add to all of them: partitions add 'tensors.*' ${count}.`);
  }
  const counts = await Promise.all(names.map(async (name) => [name, await log.partitions(name)] as const));
  const lacking = counts.filter(([, now]) => now < count);
  if (lacking.length === 0) refuse(`${counts.map(([name, now]) => `${name} has ${now}`).join(', ')} partitions; Kafka can only add to them, so more than that must be asked for, not ${count}.`);
  const [drains, why] = orderAtStake(asked, description.name);
  return { topics: new Map(lacking), count, drains, outside: description.producers.some((name) => outsiders.has(name)), why };
}

function orderAtStake(topic: string, described: string): [boolean, string] {
  if (topic === 'replies') return [false, 'a reply is addressed to a partition, so none moves; edges that start from now on may claim the new ones'];
  if (described === '*.dlq') return [false, 'no stage reads dead letters, so there is no order to keep'];
  return [true, 'keys move to other partitions: writers hold until what lies in the topic has been read'];
}
