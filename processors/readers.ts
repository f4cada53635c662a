/** Who reads a topic, as the groups of the stages. */
import { describeTopic, ingestOf, tensorTopic } from '../schemas/topics.ts';
import { groupOf } from './topology.ts';

/** These keep no order, and need not be run at all: who follows a topic for show or for answers, and who keeps frames to look at. */
const orderless: ReadonlySet<string> = new Set(['live', 'edge', 'keep', 'keep.examples']);

/** The groups that must have read a topic to its end before a source may go on in another partition of it. */
export function groupsReading(topic: string): string[] {
  const readers = describeTopic(topic)?.consumers.filter((name) => !orderless.has(name)) ?? [];
  return readers.map((name) => groupOf(name === 'infer' ? topic.replace(tensorTopic(''), 'infer.') : name === 'ingest' ? ingestOf(topic) : name));
}
