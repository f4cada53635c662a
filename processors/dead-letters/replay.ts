/** Sends dead letters back to where they came from, then marks them; or only marks them. */
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import type { LogProducer, LogRecord } from '../../connectors/ports.ts';
import { tensorTopic } from '../../schemas/topics.ts';
import { type DeadLetter, homeOf, idOf, original } from './letter.ts';
import { type Action, markRecord } from './marks.ts';
import { withPayload } from './payload.ts';
import { readSpans } from './read-spans.ts';
import type { Span, World } from './world.ts';

/** What is sent at once, and so what a process that dies may have sent without marking it. */
const chunkRecords = 64;
const chunkBytes = 4 * 1024 * 1024;

export interface Handled {
  /** Acknowledged and marked. */
  readonly done: number;
  readonly failed: readonly { readonly id: string; readonly error: SaccadeError }[];
  /** Retention took them since they were found. */
  readonly gone: number;
  /** Left for another time, because of `stopping`. */
  readonly left: number;
  /** The environment ended it early; what was done until then stays done. */
  readonly ended: SaccadeError | null;
}

/**
 * Each record is acknowledged by all in-sync replicas before its letter is marked: a crash in between sends it once more
 * with the next replay, which its id makes harmless, and never loses it. `rate` is in records a second, null for as fast as
 * it goes. Reads the letters anew instead of keeping them: all of them may be far more than fits into memory.
 */
export async function replay(world: World, letters: readonly DeadLetter[], rate: number | null, progress: (done: number) => void): Promise<Handled> {
  const { log, clock, stopping, blobs } = world;
  const wanted = new Map(letters.map((letter) => [letter.id, letter]));
  const partitions = await partitionCounts(world, letters);
  const tensors = letters.some(({ topic }) => topic.startsWith(tensorTopic('')));
  const deserted = new Set([...(tensors ? await world.unloaded() : [])].map(tensorTopic));
  const producer = await log.producer();
  const atOnce = rate === null ? chunkRecords : Math.max(1, Math.min(chunkRecords, Math.floor(rate / 10)));
  const failed: { id: string; error: SaccadeError }[] = [];
  const startedAt = clock.now();
  let chunk: LogRecord[] = [];
  let bytes = 0;
  let done = 0;

  async function flush(): Promise<void> {
    if (chunk.length === 0) return;
    const records = chunk;
    chunk = [];
    bytes = 0;
    if (rate !== null) await clock.sleep(Math.max(0, startedAt + ((done + failed.length) / rate) * 1000 - clock.now()), stopping);
    if (stopping.aborted) throw new Stopped();
    const { sent, refused } = await send(producer, records, partitions, deserted);
    failed.push(...refused);
    await producer.send(sent.map((record) => markRecord(wanted.get(idOf(record))!, 'replayed', clock.now())));
    done += sent.length;
    progress(done);
  }

  let ended: SaccadeError | null = null;
  let stopped = false;
  try {
    await readSpans(world, spansOf(letters), async (record) => {
      if (wanted.get(idOf(record))?.timestamp !== record.timestamp) return;
      try {
        const whole = await withPayload(record, blobs);
        chunk.push(whole);
        bytes += whole.value?.length ?? 0;
      } catch (cause) {
        const error = asSaccadeError(cause);
        if (error.code === 'blobs_unavailable') throw error;
        failed.push({ id: idOf(record), error });
      }
      if (chunk.length >= atOnce || bytes >= chunkBytes) await flush();
    });
    await flush();
  } catch (error) {
    if (error instanceof Stopped) stopped = true;
    else ended = asSaccadeError(error);
  } finally {
    await producer.close();
  }
  const rest = letters.length - done - failed.length;
  return { done, failed, gone: stopped || ended ? 0 : rest, left: stopped || ended ? rest : 0, ended };
}

class Stopped extends Error {}

/** Marks without sending. */
export async function mark({ log, clock }: World, letters: readonly DeadLetter[], action: Action): Promise<void> {
  const producer = await log.producer();
  try {
    await producer.send(letters.map((letter) => markRecord(letter, action, clock.now())));
  } finally {
    await producer.close();
  }
}

/** The log is away, or refuses whoever asks: no other record would fare better. */
function endsAll(cause: unknown): boolean {
  const { retryable, code } = asSaccadeError(cause);
  return retryable || code === 'invalid_config';
}

/** One record that its topic refuses does not hold up the others. Throws what would stop every other one too. */
async function send(producer: LogProducer, records: readonly LogRecord[], partitions: ReadonlyMap<string, number>, deserted: ReadonlySet<string>) {
  const sent: LogRecord[] = [];
  const refused: { id: string; error: SaccadeError }[] = [];
  const addressed = records.filter((record) => {
    const topic = homeOf(record.topic);
    // Sent there it would be marked as replayed, and lie unread until retention takes it.
    const why = deserted.has(topic) ? `Nobody reads ${topic}: its model has been unloaded. Load it first: npm run saccade -- models load NAME.` : partitions.has(topic) ? null : `The topic it came from, ${topic}, is no more.`;
    if (why !== null) refused.push({ id: idOf(record), error: new SaccadeError('not_found', why) });
    return why === null;
  });
  const originalOf = (record: LogRecord) => original(record, partitions.get(homeOf(record.topic)) ?? 0);
  try {
    await producer.send(addressed.map(originalOf));
    sent.push(...addressed);
  } catch (cause) {
    if (endsAll(cause)) throw cause;
    // Some of them may have been acknowledged; sending those again is harmless, their ids are the same.
    for (const record of addressed) {
      try {
        await producer.send([originalOf(record)]);
        sent.push(record);
      } catch (error) {
        if (endsAll(error)) throw error;
        refused.push({ id: idOf(record), error: asSaccadeError(error) });
      }
    }
  }
  return { sent, refused };
}

/** Of the topics the letters came from; one that does not exist any more is absent. */
async function partitionCounts({ log, survey }: World, letters: readonly DeadLetter[]): Promise<ReadonlyMap<string, number>> {
  const there = new Set(await survey.topics());
  const homes = [...new Set(letters.map(({ topic }) => homeOf(topic)))].filter((home) => there.has(home));
  return new Map(await Promise.all(homes.map(async (home) => [home, await log.partitions(home)] as const)));
}

/** From the first to the last letter of each partition. */
function spansOf(letters: readonly DeadLetter[]): Span[] {
  const spans = new Map<string, Span>();
  for (const { topic, partition, offset } of letters) {
    const key = `${topic}/${partition}`;
    const { low = offset, high = offset + 1 } = spans.get(key) ?? {};
    spans.set(key, { topic, partition, low: Math.min(low, offset), high: Math.max(high, offset + 1) });
  }
  return [...spans.values()];
}
