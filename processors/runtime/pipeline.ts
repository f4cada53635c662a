/** Runs a topology: starts the stages, a runner for each chain, and stops them in the order of the stream. */
import type { BlobStore, Clock, Log, LogProducer, SchemaRegistry, WorkJournal } from '../../connectors/ports.ts';
import { chainRunner } from './chain-runner.ts';
import { drained } from './drained.ts';
import { type FusedWait, lasts, sentence, waitsOf } from './fused-wait.ts';
import type { Logger } from './logger.ts';
import type { RuntimeMetrics } from './metrics.ts';
import type { PausableProducer } from './pausable-producer.ts';
import { quarantine } from './quarantine.ts';
import type { ChainRunner, RuntimeLimits } from './runner.ts';
import { type Chain, chainFrom, type Fuse, joins, planChains, type Step, stepsOf } from './wiring.ts';

export interface PipelineOptions {
  readonly steps: readonly Step[];
  readonly fuse: Fuse;
  readonly log: Log;
  readonly producer: LogProducer & Partial<Pick<PausableProducer, 'held'>>;
  readonly registry: SchemaRegistry;
  readonly clock: Clock;
  readonly metrics: RuntimeMetrics;
  logger(stage: string): Logger;
  readonly limits: RuntimeLimits;
  /** Takes the bytes of dead letters that are larger than a record may be. */
  readonly blobs?: Pick<BlobStore, 'put'> | undefined;
  /** Names the records in work beyond the death of the process; without it a record that kills it does so for ever. */
  readonly journal?: WorkJournal | undefined;
  /** Tells whoever watches the process what they must know, beside the log. */
  announce?(line: string): void;
  /** Where waits draw their jitter; Math.random unless given. */
  readonly random?: () => number;
}

export interface Pipeline {
  /** Resolves when every stage is warm and every group joined. */
  start(): Promise<void>;
  stop(limitMs: number): Promise<void>;
  /**
   * Runs one more step beside the others. Nothing to do where a step of that name consumes already. Resolves when it is warm and
   * its group joined; rejects, and may be called again, when it could not. It is fused then as `fuse` asks, as soon as its topic allows.
   */
  add(step: Step): Promise<void>;
  /** Unfuses the step of this name and ends its consumer: it takes nothing more, finishes what runs, commits. */
  remove(name: string, limitMs: number): Promise<void>;
  /** Whether what is for the stage of this name is handed over to it in memory now, by another of this process. */
  fused(name: string): boolean;
  /** What keeps stages from working, by stage; empty when all work. */
  troubles(): Record<string, string>;
  /** What is in hand waits for topics that are bypassed to be worked off, by stage: no trouble, since work goes on, while it may be somebody else's. */
  waiting(): Record<string, string>;
  /** Stages whose work stands still without a known reason, by name. */
  stuck(): Record<string, string>;
}

export function createPipeline(options: PipelineOptions): Pipeline {
  const { steps, log, clock } = options;
  const plan = planChains(steps, options.fuse);
  const suspects = options.journal && quarantine(options.journal);
  const runners: ChainRunner[] = [];
  /** Those that steps are fused behind: the ones that only empty a topic write what follows to the log. */
  const chains: ChainRunner[] = [];
  /** Those that came later, and have stages of their own to stop. */
  const added = new Map<string, Step>();
  const stopping = new AbortController();
  let started = false;
  /** Topics that are worked off before anything is fused, at the start. */
  const emptying = plan.drains.map(({ step }) => ({ step, told: waitsOf(step, { clock, logger: options.logger(step.stage.name), announce: options.announce }) }));
  const waits = (): readonly FusedWait[] => [...emptying.flatMap(({ told }) => told.now() ?? []), ...runners.flatMap((runner) => runner.waits())];
  options.metrics.waits(waits);

  async function run(chain: Chain): Promise<ChainRunner> {
    const { steps: _steps, fuse: _fuse, journal: _journal, logger, ...shared } = options;
    const names = stepsOf(chain).map((step) => step.stage.name);
    const runner = await chainRunner({ ...shared, chain, quarantine: suspects, logger: logger(names.join('+')) });
    runners.push(runner);
    try {
      await runner.start();
      return runner;
    } catch (error) {
      // Left here it would pass for one that consumes, and nobody would start another.
      const at = runners.indexOf(runner);
      if (at >= 0) runners.splice(at, 1);
      await runner.stop(0);
      throw error;
    }
  }

  /** Until the group has read all that lay in the topic: what comes later through the fused chain stays behind it. */
  async function emptied({ step, told }: (typeof emptying)[number]): Promise<void> {
    const done = await drained(log, step, async (records) => {
      told.still(records);
      await clock.sleep(500, stopping.signal);
      return !stopping.signal.aborted;
    });
    if (done) told.over();
  }

  /** Its consumer goes on, for what others write. */
  async function fuse(step: Step): Promise<void> {
    const part = chainFrom(step, [...steps, ...added.values()], options.fuse);
    await Promise.all(chains.map((runner) => runner.takeIn(part, (before) => joins(options.fuse, before, step))));
  }

  return {
    async start() {
      await Promise.all(steps.map((step) => step.stage.start?.()));
      await Promise.all(plan.drains.map(run));
      await Promise.all(emptying.map(emptied));
      chains.push(...(await Promise.all(plan.chains.map(run))));
      started = true;
    },
    async stop(limitMs) {
      stopping.abort();
      await Promise.all(runners.map((runner) => runner.stop(limitMs)));
      await Promise.all([...steps, ...added.values()].map((step) => step.stage.stop?.()));
    },
    async add(step) {
      const { name } = step.stage;
      if (stopping.signal.aborted || runners.some((runner) => runner.name === name)) return;
      // One that was removed: its stage is there, and bears to be given work from both sides.
      const known = steps.find(({ stage }) => stage.name === name);
      if (known) {
        await run({ step: known, next: new Map() });
        return fuse(known);
      }
      added.set(name, step);
      try {
        await step.stage.start?.();
        await run({ step, next: new Map() });
        await fuse(step);
      } catch (error) {
        added.delete(name);
        await step.stage.stop?.();
        throw error;
      }
    },
    async remove(name, limitMs) {
      // First, so that what others of the chain write for it meanwhile is still read.
      await Promise.all(chains.map((runner) => runner.letGo(name, limitMs)));
      const at = runners.findIndex((runner) => runner.name === name);
      const [runner] = at < 0 ? [] : runners.splice(at, 1);
      await runner?.stop(limitMs);
      await added.get(name)?.stage.stop?.();
      added.delete(name);
    },
    fused: (name) => chains.some((runner) => runner.name !== name && runner.steps().some(({ stage }) => stage.name === name)),
    troubles: () => ({ ...(started ? {} : { pipeline: 'starting' }), ...Object.assign({}, ...runners.map((runner) => runner.troubles())) }),
    waiting() {
      const now = clock.now();
      return Object.fromEntries(waits().filter((wait) => lasts(wait, now)).map((wait) => [wait.stage, sentence(wait, now)]));
    },
    stuck: () => Object.fromEntries(runners.flatMap((runner) => (runner.stuck() === null ? [] : [[runner.name, runner.stuck()!]]))),
  };
}
