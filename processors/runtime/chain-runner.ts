/**
 * Runs one chain: takes records over from the log, gives them to the stage (and the stages fused behind it), sends the
 * outputs in partition order, and commits the low-water mark. One for each consumer group in this process.
 */
import type { LogConsumer, LogRecord, TopicPartition } from '../../connectors/ports.ts';
import { deadLetterTopic } from '../../schemas/topics.ts';
import { branchesOf, type Ties } from './branches.ts';
import { byteBudget } from './byte-budget.ts';
import { committer } from './committer.ts';
import { deadLetterRatio } from './dead-letter-ratio.ts';
import { deadLetter, withoutValue } from './dead-letter.ts';
import type { StageExecutor } from './executor.ts';
import { expiredRecords } from './expired.ts';
import { unfinished } from './lag.ts';
import { manyListeners } from './many-listeners.ts';
import { type Entry, PartitionQueue } from './partition-queue.ts';
import { type Progress, watchProgress } from './progress.ts';
import type { ChainRunner, ChainRunnerOptions } from './runner.ts';
import { sender } from './sender.ts';
import { stageExecutor } from './stage-executor.ts';
import type { Step } from './wiring.ts';

/** What a record costs in memory beside its value. */
const recordOverhead = 512;
/** For stages whose batches wait as long, or longer. */
const gatherMs = { least: 200, most: 1_000 } as const;

export async function chainRunner(options: ChainRunnerOptions): Promise<ChainRunner> {
  const { chain, log, clock, limits, logger } = options;
  const head = chain.step;
  const metrics = options.metrics.stage(head.stage.name);
  const cluster = await log.clusterId();
  const stopped = new AbortController();

  let consumer: LogConsumer | null = null;
  let generation = 0;
  let generationEnd = manyListeners();
  let queues = new Map<number, PartitionQueue>();
  let held: readonly TopicPartition[] = [];
  let consumerFault: string | null = null;
  /** The generation whose partitions are being shared out anew; nothing of it leaves any more. */
  let ended: number | null = null;
  /** Bytes of outputs that no acknowledgement has freed yet. */
  let producedBytes = 0;
  /** The next offset to be fetched, by partition held. */
  let fetched = new Map<number, number>();
  let halted: string | null = null;

  const budget = byteBudget(limits.inFlightBytes, (exhausted) => {
    metrics.paused(exhausted);
    if (exhausted) metrics.rests('memory');
    if (exhausted) consumer?.pause(held);
    else if (halted === null) consumer?.resume(held);
  });
  const commits = committer({
    clock,
    intervalMs: limits.commitIntervalMs,
    signal: stopped.signal,
    log: logger,
    consumer: () => consumer,
    queues: () => queues.values(),
    generation: () => generation,
  });

  const current = (entry: Entry) => entry.queue.generation === generation;

  function charge(entry: Entry, bytes: number): void {
    if (!current(entry)) return;
    entry.bytes += bytes;
    if (bytes < 0) budget.give(-bytes);
    else budget.take(bytes);
  }

  function executorOf(step: Step, ties: Ties): StageExecutor {
    const own = options.metrics.stage(step.stage.name);
    const ratio = limits.deadLetters && deadLetterRatio(limits.deadLetters, clock);
    return stageExecutor({
      step,
      cluster,
      registry: options.registry,
      clock,
      random: options.random,
      metrics: own,
      log: logger,
      maxRecordBytes: limits.maxRecordBytes,
      quarantine: options.quarantine,
      current,
      signal: () => generationEnd.signal,
      next: ties.next,
      charge,
      blobs: options.blobs,
      // What is on its way frees memory when it arrives. Without that, the work that would set it free must go on.
      hold: () => halted !== null || ties.closed() || (producedBytes > limits.inFlightBytes && sending.busy),
      produced(entry, bytes) {
        if (current(entry)) producedBytes += bytes;
      },
      left(source, error) {
        progress?.moved();
        const why = ratio?.count(source, error);
        if (why) halt(step.stage.name, why);
      },
      waits: () => progress?.moved(),
      finished: () => sending.wake(),
    });
  }

  /** For good: a person has to look first. What is in work goes its way and is committed, what has only been fetched comes again. */
  function halt(stage: string, why: string): void {
    if (halted !== null) return;
    halted = `${stage} is halted: ${why}. Nothing more is fetched, nothing is lost. Look: npm run dlq -- list. To go on where it stopped: start this process again (SACCADE_DEAD_LETTER_LIMIT=0 for no limit), then npm run dlq -- replay.`;
    consumer?.pause(held);
    const own = options.metrics.stage(stage);
    own.halted();
    own.rests('halted');
    logger.error({ stage }, halted);
    options.announce?.(`!! ${halted}`);
  }

  const branches = branchesOf({ chain, log, clock, logger, announce: options.announce, signal: stopped.signal, executorOf, queues: () => queues.values() });

  const sending = sender({
    producer: options.producer,
    clock,
    random: options.random,
    log: logger,
    signal: stopped.signal,
    queues: () => queues.values(),
    may: () => generation !== ended,
    rested: wakeExecutors,
    waits: () => progress?.moved(),
    replacement(entry, output, error) {
      const attempt = 1;
      if (output.topic !== deadLetterTopic(head.from)) return deadLetter(entry.record, error, head.stage.name, attempt, clock.now());
      return output.value === null ? null : withoutValue(output);
    },
    acknowledged(entries, seconds) {
      for (const entry of entries) {
        if (!current(entry)) continue;
        budget.give(entry.bytes);
        producedBytes -= entry.outputs.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
      }
      progress?.moved();
      wakeExecutors();
      metrics.phase('deliver', seconds);
      reportInFlight();
      // What was on its way when the generation ended: the group waits for its members, so there may just be time.
      if (generation === ended) void commits.now();
      else commits.soon();
    },
  });

  function wakeExecutors(): void {
    for (const executor of branches.executors()) executor.wake();
  }

  const inHand = (): number => [...queues.values()].reduce((sum, queue) => sum + queue.length, 0);
  const reportInFlight = (): void => metrics.inFlight(inHand(), budget.used);

  /** A new generation: what is in flight belongs to whoever holds the partitions now, and will be delivered again. */
  function assigned(next: number, partitions: readonly TopicPartition[]): void {
    generation = next;
    consumerFault = null;
    generationEnd.abort();
    generationEnd = manyListeners();
    held = partitions;
    queues = new Map();
    for (const executor of branches.executors()) executor.prune();
    branches.assigned();
    budget.give(budget.used);
    producedBytes = 0;
    fetched = new Map();
    progress?.moved();
    if (halted !== null) consumer?.pause(held);
    // Before any record of this generation is in work: some may be here because they killed their last owner.
    options.quarantine?.inspect();
    metrics.rebalanced();
    reportInFlight();
    logger.info({ generation: next, partitions: partitions.map((p) => p.partition) }, 'partitions assigned');
    expired.assigned(partitions);
  }

  function queueOf(source: TopicPartition): PartitionQueue {
    let queue = queues.get(source.partition);
    if (!queue) queues.set(source.partition, (queue = new PartitionQueue(source, generation)));
    return queue;
  }

  function records(from: number, source: TopicPartition, batch: readonly LogRecord[]): void {
    if (from !== generation || stopped.signal.aborted) return;
    consumerFault = null;
    progress?.moved();
    const queue = queueOf(source);
    const queuedAt = clock.now();
    const expected = fetched.get(source.partition);
    const found = batch[0]!.offset;
    if (expected !== undefined && found > expected) expired.gap(source.partition, expected, found);
    fetched.set(source.partition, batch.at(-1)!.offset + 1);
    for (const record of batch) {
      const bytes = (record.value?.length ?? 0) + recordOverhead;
      const entry = queue.add(record, bytes);
      budget.take(bytes);
      branches.head.submit({ entry, bytes, queuedAt, attempt: 1 });
    }
    reportInFlight();
  }

  async function waiting(): Promise<number> {
    const mine = new Set(held.map((p) => p.partition));
    const left = (await unfinished(log, head.group, head.from)).filter(({ partition }) => mine.has(partition));
    return left.reduce((sum, { partition, from, end }) => sum + Math.max(0, end - Math.max(from, fetched.get(partition) ?? 0)), 0);
  }

  function troubles(): Record<string, string> {
    const ofAll = halted ?? consumerFault ?? sending.trouble();
    return ofAll !== null ? { [head.stage.name]: ofAll } : Object.fromEntries(branches.executors().flatMap(({ stage, trouble }) => (trouble() === null ? [] : [[stage, trouble()!]])));
  }

  /** Why nothing need move: a fault, a stage that holds back, a command that makes writers hold (partitions add). */
  const excused = (): boolean => Object.keys(troubles()).length > 0 || branches.resting() || branches.steps().some(({ to }) => Object.values(to).some((topic) => options.producer.held?.(topic) ?? false));

  let progress: Progress | null = null;
  options.metrics.lag(head.stage.name, async () => {
    const mine = new Set(held.map((p) => p.partition));
    const left = mine.size === 0 ? [] : await unfinished(log, head.group, head.from);
    return left.filter(({ partition }) => mine.has(partition)).map(({ from, end, ...at }) => ({ ...at, lag: Math.max(0, end - from) }));
  });

  const expired = expiredRecords({
    log,
    group: head.group,
    topic: head.from,
    tell(partition, count, from) {
      metrics.expired(count);
      logger.error({ topic: head.from, partition, expired: count, from }, 'records were deleted by retention before they were processed');
      options.announce?.(`!! ${count} records of ${head.from}/${partition} were deleted by retention before ${head.stage.name} had processed them; it goes on at offset ${from}`);
    },
    cannotTell: (error) => logger.warn({ error: String(error) }, 'cannot tell whether records have expired'),
  });

  return {
    name: head.stage.name,
    async start() {
      consumer = await log.consumer({
        group: head.group,
        topics: [head.from],
        from: head.begins ?? 'earliest',
        maxBytes: limits.fetchBytes,
        maxBytesPerPartition: limits.fetchBytesPerPartition,
        // Who waits for company may leave it in the log until there is some: a fetch for each record costs more than the record.
        ...(head.stage.batch.waitMs >= gatherMs.least ? { gatherMs: Math.min(head.stage.batch.waitMs, gatherMs.most) } : {}),
        handlers: {
          assigned,
          ending(last) {
            ended = last;
            void commits.last();
          },
          records,
          fetched(of, source, next) {
            // Records that come after the stop are not taken over, so they must not be passed either.
            if (of !== generation || stopped.signal.aborted) return;
            fetched.set(source.partition, next);
            queueOf(source).fetched(next);
            commits.soon();
            progress?.moved();
          },
          failed(error) {
            consumerFault = error.message;
            logger.warn({ error: error.message }, 'the consumer lost the log');
          },
        },
      });
      // Records may have come in before the consumer was ours to pause.
      if (budget.exhausted || halted !== null) consumer.pause(held);
      if (limits.stuckAfterMs) {
        progress = watchProgress({ clock, limitMs: limits.stuckAfterMs, signal: stopped.signal, inHand, excused, waiting });
      }
    },
    async stop(limitMs) {
      if (stopped.signal.aborted) return;
      consumer?.pause(held);
      const finish = Promise.all(branches.executors().map((executor) => executor.drain())).then(() => sending.idle());
      const limit = new AbortController();
      await Promise.race([finish, clock.sleep(limitMs, limit.signal)]);
      limit.abort();
      stopped.abort();
      generationEnd.abort();
      await commits.idle();
      await commits.now();
      await consumer?.close();
      held = [];
    },
    steps: branches.steps,
    takeIn: branches.takeIn,
    waits: () => (halted === null ? branches.waits() : []),
    letGo: branches.letGo,
    troubles,
    stuck: () => (stopped.signal.aborted ? null : (progress?.stuck() ?? null)),
  };
}
