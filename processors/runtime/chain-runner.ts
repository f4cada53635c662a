/**
 * Runs one chain: takes records over from the log, gives them to the stage (and the stages fused behind it), sends the
 * outputs in partition order, and commits the low-water mark. One for each consumer group in this process.
 */
import type { BlobStore, Clock, Log, LogConsumer, LogProducer, LogRecord, Position, SchemaRegistry, TopicPartition } from '../../connectors/ports.ts';
import { deadLetterTopic } from '../../schemas/topics.ts';
import { byteBudget } from './byte-budget.ts';
import { deadLetter, withoutValue } from './dead-letter.ts';
import type { StageExecutor } from './executor.ts';
import { unfinished } from './lag.ts';
import type { Logger } from './logger.ts';
import type { RuntimeMetrics } from './metrics.ts';
import { type Entry, PartitionQueue } from './partition-queue.ts';
import type { Quarantine } from './quarantine.ts';
import { sender } from './sender.ts';
import { stageExecutor } from './stage-executor.ts';
import type { Chain } from './wiring.ts';

export interface ChainRunnerOptions {
  readonly chain: Chain;
  readonly log: Log;
  readonly producer: LogProducer;
  readonly registry: SchemaRegistry;
  readonly clock: Clock;
  readonly metrics: RuntimeMetrics;
  readonly logger: Logger;
  readonly limits: RuntimeLimits;
  /** Takes the bytes of dead letters that are larger than a record may be. */
  readonly blobs?: Pick<BlobStore, 'put'> | undefined;
  readonly random?: () => number;
  /** Of the whole process: a suspect is alone in all of it. */
  readonly quarantine?: Quarantine | undefined;
}

export interface RuntimeLimits {
  /** Bytes a runner holds before it pauses fetching; a fetch already under way comes on top. */
  readonly inFlightBytes: number;
  readonly fetchBytes: number;
  readonly fetchBytesPerPartition: number;
  readonly maxRecordBytes: number;
  readonly commitIntervalMs: number;
}

export interface ChainRunner {
  readonly name: string;
  /** Resolves once the group has been joined. */
  start(): Promise<void>;
  /** Fetches no more, finishes what runs, commits, leaves the group. What has not finished after `limitMs` is left to the next owner. */
  stop(limitMs: number): Promise<void>;
  /** Why no progress is made at present, or null. */
  trouble(): string | null;
}

/** What a record costs in memory beside its value. */
const recordOverhead = 512;

export async function chainRunner(options: ChainRunnerOptions): Promise<ChainRunner> {
  const { chain, log, clock, limits, logger } = options;
  const head = chain.step;
  const metrics = options.metrics.stage(head.stage.name);
  const cluster = await log.clusterId();
  const stopped = new AbortController();

  let consumer: LogConsumer | null = null;
  let generation = 0;
  let generationEnd = new AbortController();
  let queues = new Map<number, PartitionQueue>();
  let held: readonly TopicPartition[] = [];
  let consumerFault: string | null = null;
  /** The generation whose partitions are being shared out anew; nothing of it leaves any more. */
  let ended: number | null = null;
  /** Bytes of outputs that no acknowledgement has freed yet. */
  let producedBytes = 0;
  let committing: Promise<void> | null = null;
  /** The last generation whose commit was too late; nothing more of it can be committed. */
  let refused: number | null = null;

  const budget = byteBudget(limits.inFlightBytes, (exhausted) => {
    metrics.paused(exhausted);
    if (exhausted) consumer?.pause(held);
    else consumer?.resume(held);
  });

  const current = (entry: Entry) => entry.queue.generation === generation;

  function charge(entry: Entry, bytes: number): void {
    if (!current(entry)) return;
    entry.bytes += bytes;
    budget.take(bytes);
  }

  function executorFor(part: Chain): StageExecutor {
    const next = new Map([...part.next].map(([topic, follower]) => [topic, executorFor(follower)]));
    const executor = stageExecutor({
      step: part.step,
      cluster,
      registry: options.registry,
      clock,
      random: options.random,
      metrics: options.metrics.stage(part.step.stage.name),
      log: logger,
      maxRecordBytes: limits.maxRecordBytes,
      quarantine: options.quarantine,
      current,
      signal: () => generationEnd.signal,
      next: (topic) => next.get(topic),
      charge,
      blobs: options.blobs,
      // What is on its way frees memory when it arrives. Without that, the work that would set it free must go on.
      hold: () => producedBytes > limits.inFlightBytes && sending.busy,
      produced(entry, bytes) {
        if (current(entry)) producedBytes += bytes;
      },
      finished: () => sending.wake(),
    });
    executors.push(executor);
    return executor;
  }
  const executors: StageExecutor[] = [];
  const first = executorFor(chain);

  const sending = sender({
    producer: options.producer,
    clock,
    random: options.random,
    log: logger,
    signal: stopped.signal,
    queues: () => queues.values(),
    may: () => generation !== ended,
    rested: wakeExecutors,
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
      wakeExecutors();
      metrics.phase('deliver', seconds);
      reportInFlight();
      // What was on its way when the generation ended: the group waits for its members, so there may just be time.
      if (generation === ended) void commit();
      else commitSoon();
    },
  });

  function wakeExecutors(): void {
    for (const executor of executors) executor.wake();
  }

  function reportInFlight(): void {
    const inFlight = [...queues.values()].reduce((sum, queue) => sum + queue.length, 0);
    metrics.inFlight(inFlight, budget.used);
  }

  /** A new generation: what is in flight belongs to whoever holds the partitions now, and will be delivered again. */
  function assigned(next: number, partitions: readonly TopicPartition[]): void {
    generation = next;
    consumerFault = null;
    generationEnd.abort();
    generationEnd = new AbortController();
    held = partitions;
    queues = new Map();
    for (const executor of executors) executor.prune();
    budget.give(budget.used);
    producedBytes = 0;
    // Before any record of this generation is in work: some may be here because they killed their last owner.
    options.quarantine?.inspect();
    metrics.rebalanced();
    reportInFlight();
    logger.info({ generation: next, partitions: partitions.map((p) => p.partition) }, 'partitions assigned');
    reportExpired(partitions).catch((error: unknown) => logger.warn({ error: String(error) }, 'cannot tell whether records have expired'));
  }

  function records(from: number, source: TopicPartition, batch: readonly LogRecord[]): void {
    if (from !== generation || stopped.signal.aborted) return;
    consumerFault = null;
    let queue = queues.get(source.partition);
    if (!queue) queues.set(source.partition, (queue = new PartitionQueue(source, generation)));
    const queuedAt = clock.now();
    for (const record of batch) {
      const bytes = (record.value?.length ?? 0) + recordOverhead;
      const entry = queue.add(record, bytes);
      budget.take(bytes);
      first.submit({ entry, bytes, queuedAt, attempt: 1 });
    }
    reportInFlight();
  }

  /** One commit at a time: two under way could arrive in either order, and the position would go back. */
  function commitSoon(): void {
    committing ??= clock
      .sleep(limits.commitIntervalMs, stopped.signal)
      .then(commit)
      .then(() => {
        committing = null;
        if (stopped.signal.aborted || generation === refused) return;
        // What was finished, or failed to be committed, meanwhile.
        if ([...queues.values()].some((queue) => queue.uncommitted() !== null)) commitSoon();
      });
  }

  async function commit(): Promise<void> {
    const pending: { queue: PartitionQueue; position: Position }[] = [];
    for (const queue of queues.values()) {
      const offset = queue.uncommitted();
      if (offset !== null) pending.push({ queue, position: { ...queue.source, offset } });
    }
    if (pending.length === 0 || !consumer) return;
    const { generation: of } = pending[0]!.queue;
    try {
      const accepted = await consumer.commit(of, pending.map((p) => p.position));
      if (accepted) for (const { queue, position } of pending) queue.committed(position.offset);
      else refused = of;
    } catch (error) {
      // Not lost: the same or a later position is committed next time, and a repeat is recognised by its id.
      logger.warn({ error: String(error) }, 'commit failed');
    }
  }

  options.metrics.lag(head.stage.name, async () => {
    const mine = new Set(held.map((p) => p.partition));
    const left = await unfinished(log, head.group, head.from);
    return left.filter(({ partition }) => mine.has(partition)).map(({ from, end, ...at }) => ({ ...at, lag: Math.max(0, end - from) }));
  });

  /** Nobody can get these records back, but nobody may learn of them by chance either. */
  async function reportExpired(partitions: readonly TopicPartition[]): Promise<void> {
    const mine = new Set(partitions.map((p) => p.partition));
    for (const { partition, expired, from } of await unfinished(log, head.group, head.from)) {
      if (expired === 0 || !mine.has(partition)) continue;
      metrics.expired(expired);
      logger.error({ topic: head.from, partition, expired, from }, 'records were deleted by retention before they were processed');
    }
  }

  return {
    name: head.stage.name,
    async start() {
      consumer = await log.consumer({
        group: head.group,
        topics: [head.from],
        from: 'earliest',
        maxBytes: limits.fetchBytes,
        maxBytesPerPartition: limits.fetchBytesPerPartition,
        handlers: {
          assigned,
          ending(last) {
            ended = last;
            void commit();
          },
          records,
          failed(error) {
            consumerFault = error.message;
            logger.warn({ error: error.message }, 'the consumer lost the log');
          },
        },
      });
      // Records may have come in before the consumer was ours to pause.
      if (budget.exhausted) consumer.pause(held);
    },
    async stop(limitMs) {
      if (stopped.signal.aborted) return;
      consumer?.pause(held);
      const finish = Promise.all(executors.map((executor) => executor.drain())).then(() => sending.idle());
      const limit = new AbortController();
      await Promise.race([finish, clock.sleep(limitMs, limit.signal)]);
      limit.abort();
      stopped.abort();
      generationEnd.abort();
      await committing;
      await commit();
      await consumer?.close();
    },
    trouble: () =>
      consumerFault ?? sending.trouble() ?? executors.map((executor) => executor.trouble()).find((trouble) => trouble !== null) ?? null,
  };
}
