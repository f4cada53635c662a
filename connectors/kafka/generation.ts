/** One generation of a member: which partitions it holds, what comes next in each, and which of them rest. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConsumerOptions, Position, TopicPartition } from '../ports.ts';
import type { FetchedBatch, Membership } from './membership.ts';
import { toRecord } from './records.ts';
import { keyOf, startPositions, type Offsets, type StartPositions } from './start-positions.ts';

export interface GenerationOptions {
  readonly number: number;
  readonly membership: Membership;
  readonly partitions: readonly TopicPartition[];
  readonly options: ConsumerOptions;
  readonly admin: Offsets;
  /** Ends noted when the consumer was made, by key. */
  readonly ends: ReadonlyMap<string, number>;
  /**
   * Next offsets by key, kept over the generations of one consumer. A claim that began at the latest may never commit (the
   * live page, the reply desk): after a rejoin its commit is where the process started, and hours would be read again.
   */
  readonly kept: Map<string, number>;
}

export type Generation = ReturnType<typeof createGeneration>;

/**
 * The next offset of every partition is kept here and compared with what arrives. With several brokers, kafkajs may rejoin
 * the group (a partition's leader moved) while a fetch from another broker is under way: that fetch was asked in the old
 * generation, from an old position, and taking it over would skip every uncommitted record before it. Whatever does not
 * begin where it should is left unresolved and asked for again.
 */
export function createGeneration({ number, membership, partitions, options, admin, ends, kept }: GenerationOptions) {
  const next = new Map<string, number>();
  const resting = new Set<string>();
  const ending = new AbortController();
  const { signal } = ending;

  const keeps = options.claim !== undefined && options.from === 'latest';
  function advance(at: TopicPartition, offset: number): void {
    const key = keyOf(at);
    next.set(key, offset);
    options.handlers.fetched?.(number, at, offset);
    if (keeps) kept.set(key, offset);
  }

  /** Lets kafkajs read from these positions on. */
  function place(positions: readonly Position[]): void {
    for (const position of positions) {
      next.set(keyOf(position), position.offset);
      membership.seek(position);
    }
    membership.resume(positions.filter((at) => !resting.has(keyOf(at))));
  }

  /** Repeats until it succeeds or the generation is over; answers which. */
  async function persist(action: () => Promise<void>): Promise<boolean> {
    for (let pause = 100; !signal.aborted; pause = Math.min(2 * pause, 2_000)) {
      try {
        await action();
        return !signal.aborted;
      } catch {
        await sleep(pause, undefined, { signal }).catch(() => {});
      }
    }
    return false;
  }

  /** `begin`: where, as far as it is known already. */
  async function start(begin: StartPositions | null = null): Promise<boolean> {
    // A pause outlives the generation in kafkajs; here it ends with it. All rest until it is known where to begin.
    if (begin === null) membership.pause(partitions);
    else place(begin.positions);
    if (partitions.length === 0) return true;
    return await persist(async () => {
      const { positions, fresh } = begin ?? (await startPositions(admin, options, partitions, ends, kept));
      if (signal.aborted) return;
      // What 'the latest' was must be the same for every later member, or records between two members' ideas of it are lost.
      if (options.from === 'latest' && fresh.length > 0) await membership.commit(fresh);
      if (!signal.aborted && begin === null) place(positions);
    });
  }

  /** The position in kafkajs is not ours: retention overtook it, or the fetch was a stale one. */
  async function realign(at: TopicPartition, expected: number): Promise<void> {
    next.delete(keyOf(at));
    membership.pause([at]);
    await persist(async () => {
      const { low, high } = (await admin.bounds(at.topic)).find(({ partition }) => partition === at.partition) ?? { low: expected, high: expected };
      // Behind the end of what is there: the topic was deleted and made anew, and all of it is yet to be read.
      if (!signal.aborted) place([{ ...at, offset: expected > high ? low : Math.max(low, expected) }]);
    });
  }

  return {
    number,
    start,
    take(batch: FetchedBatch): boolean {
      const at = { topic: batch.topic, partition: batch.partition };
      const key = keyOf(at);
      const expected = next.get(key);
      if (signal.aborted || expected === undefined) return false;
      if (Number(batch.fetchedOffset) !== expected) {
        void realign(at, expected);
        return false;
      }
      options.handlers.records(number, at, batch.messages.map((message) => toRecord(at, message)));
      advance(at, Number(batch.lastOffset()) + 1);
      return true;
    },
    skip(at: TopicPartition, offset: number): void {
      const expected = next.get(keyOf(at));
      if (expected !== undefined) advance(at, Math.max(expected, offset));
    },
    pause(which: readonly TopicPartition[]): void {
      for (const at of which) resting.add(keyOf(at));
      membership.pause(which);
    },
    resume(which: readonly TopicPartition[]): void {
      for (const at of which) resting.delete(keyOf(at));
      // A partition without a position yet is resumed when it has one.
      membership.resume(which.filter((at) => next.has(keyOf(at))));
    },
    end(): void {
      ending.abort();
    },
  };
}
