/** The consumer: a member of the group that is put in place again whenever kafkajs gives up. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConsumerOptions, LogConsumer, TopicPartition } from '../ports.ts';
import { SaccadeError } from '../errors.ts';
import type { KafkaAdmin } from './admin.ts';
import type { KafkaOptions } from './client.ts';
import { isRefused, isStaleGeneration, logUnavailable, reasonOf } from './errors.ts';
import { createGeneration, type Generation } from './generation.ts';
import { joinGroup, type Membership } from './membership.ts';
import { currentEnds, type StartPositions, startPositions } from './start-positions.ts';

/** How long the first join may go on failing before `consumer()` throws: a broker that starts again loads its groups meanwhile. */
const startPatienceMs = 60_000;
const commitPatienceMs = 15_000;
const longestPauseMs = 3_000;

/** Throws log_unavailable when the group cannot be joined at first; later failures are told to `handlers.failed` and repaired. */
export async function kafkaConsumer(client: KafkaOptions, admin: KafkaAdmin, options: ConsumerOptions): Promise<LogConsumer> {
  const { group, handlers } = options;
  // Asked before joining: a record produced once this function has returned lies behind these.
  const ends = options.from === 'latest' ? await currentEnds(admin, options.topics) : new Map<string, number>();
  const kept = new Map<string, number>();
  const closing = new AbortController();
  const ready = deferred();
  const startedAt = Date.now();
  let started = false;
  let failures = 0;
  let count = 0;
  let membership: Membership | null = null;
  let current: Generation | null = null;

  /** Nobody else commits for what is claimed, so it is known before the group is joined; null: it cannot be asked at present. */
  async function claimed({ claim, topics }: ConsumerOptions): Promise<StartPositions | null> {
    if (claim === undefined) return null;
    const partitions = topics.flatMap((topic) => claim.map((partition) => ({ topic, partition })));
    return startPositions(admin, options, partitions, ends, kept).catch(() => null);
  }

  async function join(): Promise<void> {
    let begin = await claimed(options);
    if (closing.signal.aborted) return;
    const mine: Membership = joinGroup(client, options, {
      joined(partitions) {
        if (mine !== membership) return;
        joined(mine, partitions, begin);
        // It holds for the first generation of a membership: a later one goes on where that one was.
        begin = null;
      },
      rejoining: () => mine === membership && current !== null && handlers.ending?.(current.number),
      batch: (batch) => mine === membership && current !== null && current.take(batch),
      skipped: (at, next) => mine === membership && current?.skip(at, next),
      crashed: (error) => mine === membership && crashed(mine, error),
    });
    membership = mine;
  }

  function joined(mine: Membership, partitions: readonly TopicPartition[], begin: StartPositions | null): void {
    current?.end();
    count += 1;
    const generation = createGeneration({ number: count, membership: mine, partitions, options, admin, ends, kept });
    current = generation;
    failures = 0;
    handlers.assigned(count, partitions);
    void generation.start(begin).then((positioned) => {
      if (!positioned) return;
      started = true;
      ready.resolve();
    });
  }

  function crashed(mine: Membership, error: Error): void {
    membership = null;
    current?.end();
    current = null;
    if (closing.signal.aborted) return;
    void mine.close();
    failures += 1;
    const reason = logUnavailable(`consuming in group ${group}`, error);
    // A young cluster's coordinator is often not there at the first try: nothing is lost that was never had.
    if (started) client.log.warn({ err: error, group, failures }, 'the consumer lost the log');
    else client.log.info({ err: error, group, failures }, 'the group cannot be joined yet');
    if (!started && (isRefused(error) || Date.now() - startedAt > startPatienceMs)) {
      closing.abort();
      return ready.reject(reason);
    }
    if (started) handlers.failed?.(reason);
    const pause = Math.min(250 * 2 ** failures, longestPauseMs);
    sleep(pause, undefined, { signal: closing.signal }).then(join, () => {});
  }

  void join();
  await ready.promise;

  return {
    pause: (partitions) => current?.pause(partitions),
    resume: (partitions) => current?.resume(partitions),
    async commit(generation, positions) {
      for (const since = Date.now(); ; await sleep(200)) {
        if (membership === null || current?.number !== generation) return false;
        if (positions.length === 0) return true;
        try {
          await membership.commit(positions);
          return true;
        } catch (error) {
          if (isStaleGeneration(error)) return false;
          if (isRefused(error)) throw new SaccadeError('invalid_config', reasonOf(error), error);
          if (Date.now() - since > commitPatienceMs) throw logUnavailable(`committing for group ${group}`, error);
        }
      }
    },
    async close() {
      if (closing.signal.aborted) return;
      closing.abort();
      current?.end();
      current = null;
      await membership?.close();
      membership = null;
    },
  };
}

/** Promise.withResolvers, which Node 20 does not have. */
function deferred(): { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } {
  let settle: [() => void, (error: Error) => void] | undefined;
  const promise = new Promise<void>((resolve, reject) => (settle = [resolve, reject]));
  const [resolve, reject] = settle!;
  return { promise, resolve, reject };
}
