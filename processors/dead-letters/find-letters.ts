/** Which dead letters there are: one pass over their topics and the marks. */
import { SaccadeError } from '../../connectors/errors.ts';
import { handledTopic } from '../../schemas/topics.ts';
import { type DeadLetter, describeLetter, isDeadLetterTopic } from './letter.ts';
import { createMarks, type Mark } from './marks.ts';
import { readSpans } from './read-spans.ts';
import type { Selection } from './arguments.ts';
import type { World } from './world.ts';

export interface Found {
  /** Oldest first, by when they were written. */
  readonly letters: readonly (DeadLetter & { readonly handled: Mark | null })[];
  /** How many match but for having been handled. */
  readonly handled: number;
}

/** Throws not_found for a topic that does not exist, log_unavailable. */
export async function findLetters(world: World, selection: Selection): Promise<Found> {
  const topics = await topicsOf(world, selection);
  const marks = createMarks();
  const letters: DeadLetter[] = [];
  const wanted = matcher(selection);
  // The marks' ends are asked for last, so that no letter of these bounds that is handled by now is taken for unhandled.
  const bounds = await boundsOf(world, topics.letters);
  const marked = await boundsOf(world, topics.marks);
  await readSpans(world, [...bounds, ...marked], (record) => {
    if (record.topic === handledTopic) return marks.add(record);
    const letter = describeLetter(record);
    if (wanted(letter)) letters.push(letter);
  });
  const all = letters.map((letter) => ({ ...letter, handled: marks.of(letter) }));
  const unhandled = all.filter(({ handled }) => handled === null);
  const shown = selection.handled ? all : unhandled;
  return { letters: shown.toSorted((a, b) => a.timestamp - b.timestamp || a.offset - b.offset), handled: all.length - unhandled.length };
}

const boundsOf = async ({ survey }: World, topics: readonly string[]) => (await Promise.all(topics.map((topic) => survey.bounds(topic)))).flat();

async function topicsOf({ survey }: World, { topics, ids }: Selection): Promise<{ letters: readonly string[]; marks: readonly string[] }> {
  const there = await survey.topics();
  const named = [...new Set([...topics, ...ids.map((id) => id.topic)])];
  for (const topic of named) {
    const known = there.filter(isDeadLetterTopic).toSorted();
    if (!there.includes(topic)) throw new SaccadeError('not_found', `There is no topic ${topic}. Topics with dead letters: ${known.join(', ') || 'none'}.`);
  }
  return { letters: named.length > 0 ? named : there.filter(isDeadLetterTopic), marks: there.filter((topic) => topic === handledTopic) };
}

function matcher({ topics, codes, sources, ids, since }: Selection): (letter: DeadLetter) => boolean {
  const places = new Set(ids.map(({ id }) => id));
  return (letter) =>
    (topics.length === 0 || topics.includes(letter.topic)) &&
    (codes.length === 0 || codes.includes(letter.code)) &&
    (sources.length === 0 || sources.includes(letter.source ?? '')) &&
    (ids.length === 0 || places.has(letter.id)) &&
    (since === null || letter.timestamp >= since);
}
