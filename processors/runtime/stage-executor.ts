/**
 * Runs one stage: forms batches, calls `process`, and settles each outcome: results leave, drops and dead letters are
 * accounted for, environment faults wait and are tried again. Knows no consumer: the chain runner feeds it.
 */
import { setImmediate as otherWork } from 'node:timers/promises';
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import type { OutgoingRecord } from '../../connectors/ports.ts';
import { traceparentOr } from '../../schemas/trace-context.ts';
import type { Emitted, Failure, Input, Outcome, Stage } from '../stage.ts';
import { backoff } from './backoff.ts';
import { batchQueue } from './batch-queue.ts';
import { bytesOf } from './byte-budget.ts';
import { deadLetter, letterThatFits } from './dead-letter.ts';
import { decode } from './decode.ts';
import type { ExecutorOptions, StageExecutor, Work } from './executor.ts';
import { outgoing, topicOf } from './outputs.ts';
import { batchProcessor } from './process-batch.ts';
import { type RecordSpan, startBatchSpan, startRecordSpan, traceIdOf } from './tracing.ts';

/** Records that are decoded in a go: a batch may have hundreds, for as long as which nothing else of the process would get its turn. */
const inARow = 64;

interface Fault {
  readonly work: Work;
  readonly error: SaccadeError;
}

interface Prepared {
  readonly work: Work;
  readonly input: Input;
  readonly span: RecordSpan;
  outcome: Outcome | null;
}

export function stageExecutor(options: ExecutorOptions): StageExecutor {
  const { step, clock, metrics, log } = options;
  const stage = step.stage as unknown as Stage;
  const queue = batchQueue<Work>(stage.batch);
  const process = batchProcessor(stage, options.quarantine);
  const retries = backoff(200, 15_000, options.random);
  const running = new Set<Promise<void>>();
  let blocked: SaccadeError | null = null;
  let draining = false;
  let scheduled = false;
  let timer: { readonly at: number; readonly cancel: AbortController } | null = null;

  /** Microtask, so that records handed over together are batched together. */
  function schedule(): void {
    if (scheduled) return;
    scheduled = true;
    queueMicrotask(() => {
      scheduled = false;
      pump();
    });
  }

  function pump(): void {
    while (!draining && !blocked && !options.hold() && running.size < stage.batch.concurrency) {
      const batch = queue.take(clock.now());
      if (batch.length === 0) break;
      const run = runBatch(batch).finally(() => {
        running.delete(run);
        schedule();
      });
      running.add(run);
    }
    wakeWhenDue();
  }

  function wakeWhenDue(): void {
    const now = clock.now();
    const due = draining || blocked || options.hold() || running.size >= stage.batch.concurrency ? null : queue.dueIn(now);
    if (due === null) return;
    const at = now + Math.max(1, due);
    // One that wakes earlier will look again: a new one for each record costs more than a look in vain. Far ahead: the clock was set back.
    if (timer && timer.at <= at) return;
    timer?.cancel.abort();
    const own = { at, cancel: new AbortController() };
    timer = own;
    void clock.sleep(Math.max(1, due), own.cancel.signal).then(() => {
      if (timer === own) timer = null;
      if (!own.cancel.signal.aborted) schedule();
    });
  }

  async function runBatch(batch: readonly Work[]): Promise<void> {
    const wanted = batch.filter((work) => options.current(work.entry));
    if (wanted.length === 0) return;
    metrics.batch(wanted.length);
    const startedAt = clock.now();
    const prepared = await prepareAll(wanted);
    const decodedAt = clock.now();
    metrics.phase('decode', (decodedAt - startedAt) / 1000);
    const toProcess = prepared.filter(({ outcome }) => outcome === null);
    if (toProcess.length > 0) {
      const span = startBatchSpan(stage.name, toProcess.map((p) => p.span));
      const outcomes = await process(toProcess.map((p) => p.input), options.signal());
      span.end();
      toProcess.forEach((p, index) => {
        p.outcome = outcomes[index]!;
      });
      metrics.phase('process', (clock.now() - decodedAt) / 1000);
    }
    // A fault while settling is the environment's (the registry); it is retried like any other.
    const faults = (await Promise.all(prepared.map((each) => settle(each, each.outcome!)))).filter((fault) => fault !== null);
    if (faults.length > 0) await waitOut(faults);
    else retries.reset();
  }

  async function prepareAll(works: readonly Work[]): Promise<Prepared[]> {
    const prepared: Prepared[] = [];
    for (let at = 0; at < works.length; at += inARow) {
      if (at > 0) await otherWork();
      prepared.push(...(await Promise.all(works.slice(at, at + inARow).map(prepare))));
    }
    return prepared;
  }

  async function prepare(work: Work): Promise<Prepared> {
    const { record } = work.entry;
    const receivedAt = work.queuedAt;
    metrics.phase('queue', Math.max(0, clock.now() - receivedAt) / 1000);
    const traceparent = work.handedOver?.traceparent ?? traceparentOr(record.headers.traceparent);
    const span = startRecordSpan(stage.name, traceparent, receivedAt, {
      'messaging.destination.name': step.from,
      'messaging.kafka.partition': record.partition,
      'messaging.kafka.offset': record.offset,
    });
    const decoded = work.handedOver ? { value: work.handedOver.value, error: null } : await decode(record, options.registry);
    const input: Input = {
      value: decoded.value,
      key: work.handedOver ? work.handedOver.key : (record.key?.toString() ?? null),
      headers: { ...record.headers, traceparent: span.traceparent },
      origin: {
        cluster: options.cluster,
        topic: record.topic,
        partition: record.partition,
        offset: record.offset,
        timestamp: record.timestamp,
      },
      bytes: work.bytes,
      receivedAt,
      attempt: work.attempt,
    };
    return { work, input, span, outcome: outcomeBeforeWork(input, decoded.error) };
  }

  function outcomeBeforeWork(input: Input, error: SaccadeError | null): Outcome | null {
    if (error) return { kind: error.retryable ? 'retry' : 'reject', error };
    const deadline = stage.deadline?.(input) ?? null;
    return deadline !== null && deadline < clock.now() ? { kind: 'drop', reason: 'deadline' } : null;
  }

  /** Answers the fault if the work is to be tried again. Never throws: who would hear it could only crash, for each redelivery anew. */
  async function settle(prepared: Prepared, outcome: Outcome, accountable = true): Promise<Fault | null> {
    const { work, span } = prepared;
    try {
      if (outcome.kind === 'retry') throw outcome.error;
      await apply(prepared, outcome, accountable);
      span.end(outcome.kind);
      return null;
    } catch (thrown) {
      const error = asSaccadeError(thrown);
      if (error.retryable) {
        span.end('retry', error);
        return { work, error };
      }
      // The stage's result could not become a record: the record is at fault as far as anyone can tell. If it cannot
      // even be accounted for, the dead letter alone tells of it.
      if (outcome.kind === 'reject') return settle(prepared, outcome, false);
      return settle(prepared, { kind: 'reject', error });
    }
  }

  async function apply({ work, input, span }: Prepared, outcome: Exclude<Outcome, { kind: 'retry' }>, accountable: boolean): Promise<void> {
    const { entry } = work;
    if (outcome.kind === 'emit') {
      await deliver(work, outcome.records, span.traceparent);
      metrics.records('emitted');
    } else {
      const failure: Failure =
        outcome.kind === 'drop'
          ? { status: 'dropped', reason: outcome.reason, detail: outcome.detail ?? '', stage: stage.name, at: clock.now() }
          : { status: 'dead_lettered', reason: outcome.error.code, detail: outcome.error.detail, stage: stage.name, at: clock.now() };
      const traces = { traceId: traceIdOf(span.traceparent), topic: input.origin.topic, partition: input.origin.partition, offset: input.origin.offset };
      const accounts = input.value !== undefined && accountable ? (stage.account?.(input, failure) ?? []) : [];
      // Before anything leaves: where its bytes cannot be left, the work is tried again, and the accounts would leave at each try.
      const letter = outcome.kind === 'drop' ? null : await letterOf(work, outcome.error);
      await deliver(work, accounts, span.traceparent);
      if (outcome.kind === 'drop') {
        metrics.records('dropped');
        metrics.dropped(outcome.reason, sourceOf(input) || null);
        log.debug({ ...traces, reason: outcome.reason }, 'dropped');
      } else {
        entry.outputs.push(letter!);
        options.produced(entry, letter!.value?.length ?? 0);
        metrics.records('dead_lettered');
        metrics.deadLettered(outcome.error.code);
        log.warn({ ...traces, code: outcome.error.code, detail: outcome.error.detail }, 'dead-lettered');
      }
    }
    options.left(sourceOf(input), outcome.kind === 'reject' ? outcome.error : null);
    // Its pixels are garbage now, while the entry may wait for a store: counted on, they would hold up what could be in work.
    if (work.handedOver) {
      options.charge(entry, -work.bytes);
      work.handedOver.spent?.();
    }
    entry.open -= 1;
    if (entry.open === 0 && options.current(entry)) options.finished(entry);
  }

  /** A record that could not be read names no source, but has its key. */
  function sourceOf(input: Input): string {
    const named = input.value === undefined ? undefined : stage.source?.(input);
    return named ?? input.key ?? '';
  }

  function letterOf({ entry, attempt }: Work, error: SaccadeError): Promise<OutgoingRecord> {
    return letterThatFits(deadLetter(entry.record, error, stage.name, attempt, clock.now()), options.maxRecordBytes, options.blobs);
  }

  async function deliver(work: Work, records: readonly Emitted[], traceparent: string): Promise<void> {
    const addressed = records.map((emitted) => ({ emitted, topic: topicOf(step, emitted) }));
    const stored = addressed.filter(({ topic }) => !options.next(topic));
    // All or nothing: if one record cannot be encoded, none of this input's outputs has left.
    const encoded = await Promise.all(
      stored.map(({ emitted, topic }) => outgoing(topic, emitted, traceparent, options.registry, options.maxRecordBytes)),
    );
    work.entry.outputs.push(...encoded);
    options.produced(work.entry, encoded.reduce((sum, { value }) => sum + (value?.length ?? 0), 0));
    if (stage.spent) for (const { emitted } of stored) stage.spent(emitted.value);
    for (const { emitted, topic } of addressed) {
      const next = options.next(topic);
      if (!next) continue;
      const bytes = bytesOf(emitted.value);
      work.entry.open += 1;
      options.charge(work.entry, bytes);
      next.submit({
        entry: work.entry,
        bytes,
        queuedAt: clock.now(),
        attempt: 1,
        handedOver: { value: emitted.value, key: emitted.key, traceparent, ...(stage.spent ? { spent: () => stage.spent!(emitted.value) } : {}) },
      });
    }
  }

  async function waitOut(faults: readonly Fault[]): Promise<void> {
    const { error } = faults[0]!;
    for (const { work } of faults) work.attempt += 1;
    metrics.records('retried', faults.length);
    metrics.rests('environment');
    options.waits();
    queue.putBack(faults.map(({ work }) => work));
    const wait = retries.next();
    log.warn({ code: error.code, error: error.message, retryInMs: Math.round(wait), records: faults.length }, 'waiting for the environment');
    blocked = error;
    await clock.sleep(wait, options.signal());
    blocked = null;
  }

  return {
    stage: stage.name,
    submit(work) {
      queue.push(work);
      schedule();
    },
    wake: schedule,
    prune() {
      queue.discard((work) => !options.current(work.entry));
    },
    async drain() {
      draining = true;
      stage.drain?.();
      timer?.cancel.abort();
      await Promise.allSettled(running);
    },
    trouble: () => blocked?.message ?? stage.trouble?.() ?? null,
    resting: () => stage.resting?.() ?? false,
  };
}
