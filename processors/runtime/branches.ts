/**
 * The stages of one chain: its head, and the branches fused behind it, which come and go while it runs.
 *
 * What is handed to a branch in memory would overtake what waits for the same stage in the topic that the branch bypasses: another
 * process may have written there (one that has not fused, or does not run the stage), and so has this one before it took the branch
 * in. So a branch begins closed, in every generation of the group anew: it takes work over, and begins none until the group of its
 * topic has finished all that lay there. That is enough for the order within a source:
 *
 *   a rebalance    Work begins at the committed position. Whoever committed it had what went before acknowledged, in this topic or
 *                  behind the branch; so all of it lies below the ends that are asked for now. What a zombie writes later are
 *                  repeats of what is done here too.
 *   taken in       Records that are in hand go by the topic, to their end; those that are fetched from then on go to the branch. It
 *                  opens when the former have left and the topic has been emptied after that. Nobody takes a branch in while the
 *                  topic is full: all else in the chain would wait for it.
 *   let go         The reverse: records in hand go to the branch, to their end, those that are fetched from then on by the topic. The
 *                  former are acknowledged before any of the latter leaves.
 *   a crash        Nothing of this is kept: what was in hand is not committed, and its next owner begins as after a rebalance.
 *
 * Two chains that feed one branch (the lane for overflow and the usual one) do not wait for each other: where some processes are
 * fused and others are not, a source that changes its lane may be overtaken.
 */
import type { Clock, Log } from '../../connectors/ports.ts';
import { backlog, drained } from './drained.ts';
import type { StageExecutor } from './executor.ts';
import { type FusedWait, type Waits, waitsOf } from './fused-wait.ts';
import type { Logger } from './logger.ts';
import type { Entry, PartitionQueue } from './partition-queue.ts';
import type { Chain, Step } from './wiring.ts';

const pollMs = 100;
/** A backlog of minutes is not looked at ten times a second, by every branch there is. */
const longestPollMs = 1_000;
const lookMs = 500;
/** What a group works off while nobody notices that the rest of the chain waits. */
const nearlyEmpty = 32;

/** How a stage is tied to those around it. */
export interface Ties {
  /** Where the records of a bypassed topic go. */
  next(topic: string, entry: Entry): StageExecutor | undefined;
  /** It may begin nothing yet. */
  closed(): boolean;
}

export interface BranchesOptions {
  readonly chain: Chain;
  readonly log: Log;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Tells whoever watches the process, beside the log. */
  readonly announce?: ((line: string) => void) | undefined;
  readonly signal: AbortSignal;
  executorOf(step: Step, ties: Ties): StageExecutor;
  /** The records taken over and not finished, by partition. */
  queues(): Iterable<PartitionQueue>;
}

export interface Branches {
  readonly head: StageExecutor;
  /** All there are, head first. */
  executors(): readonly StageExecutor[];
  steps(): readonly Step[];
  /** Some stage holds back what it has. */
  resting(): boolean;
  /** Topics that branches wait for, so that all else in the chain does too. */
  waits(): readonly FusedWait[];
  /** A generation begins, with nothing in hand. */
  assigned(): void;
  /**
   * Fuses `part` behind every stage that `behind` picks, once its topic is nearly empty, unless it is let go before. Resolves when it
   * has looked for the first time: where the topic is nearly empty then, records go to the branch from now on. Never rejects.
   */
  takeIn(part: Chain, behind: (step: Step) => boolean): Promise<void>;
  /** From now on what is for the stage of this name goes by its topic. Resolves when it has finished what it was handed, or after `limitMs`; then it goes on. */
  letGo(name: string, limitMs: number): Promise<void>;
}

interface Branch {
  readonly step: Step;
  readonly executor: StageExecutor;
  readonly next: Map<string, Branch>;
  open: boolean;
  /** For its topic: all else in the chain waits along. */
  readonly waits: Waits;
  /** In hand when it was taken in: these go by the topic. */
  before: ReadonlySet<Entry>;
  /** In hand when it was let go: only these still go to it. */
  last: ReadonlySet<Entry> | null;
}

const nobody: ReadonlySet<Entry> = new Set();
const takes = ({ before, last }: Branch, entry: Entry): boolean => !before.has(entry) && (last === null || last.has(entry));
const under = (branch: Branch): Branch[] => [branch, ...[...branch.next.values()].flatMap(under)];

export function branchesOf({ chain, log, clock, logger, announce, signal, executorOf, queues }: BranchesOptions): Branches {
  /** Steps to be taken in, by the name of their stage. */
  const wanted = new Map<string, Step>();
  let generation = 0;

  function grow({ step, next }: Chain): Branch {
    const branch: Branch = {
      step,
      next: new Map([...next].map(([topic, part]) => [topic, grow(part)])),
      open: false,
      waits: waitsOf(step, { clock, logger, announce }),
      before: nobody,
      last: null,
      executor: executorOf(step, {
        next(topic, entry) {
          const follower = branch.next.get(topic);
          return follower && takes(follower, entry) ? follower.executor : undefined;
        },
        closed: () => !branch.open,
      }),
    };
    return branch;
  }

  const head = grow(chain);
  head.open = true;
  const all = (): Branch[] => under(head);
  const inHand = (): Entry[] => [...queues()].flatMap((queue) => queue.entries());
  const hasAny = (entries: ReadonlySet<Entry>): boolean => entries.size > 0 && inHand().some((entry) => entries.has(entry));

  /** Opens it once nothing is on the other way to it, and then what is behind it; none of this for a generation that is over. */
  async function open(branch: Branch, own: number): Promise<void> {
    const { from: topic } = branch.step;
    let pauseMs = pollMs;
    const wait = async (): Promise<boolean> => {
      await clock.sleep(pauseMs, signal);
      return own === generation && !signal.aborted;
    };
    const waitFor = (records: number): Promise<boolean> => {
      if (own === generation) branch.waits.still(records);
      pauseMs = Math.min(longestPollMs, pauseMs * 1.5);
      return wait();
    };
    while (hasAny(branch.before)) if (!(await wait())) return;
    for (let failed = false; ; ) {
      try {
        if (await drained(log, branch.step, waitFor)) break;
        return;
      } catch (error) {
        if (!failed) logger.warn({ topic, error: String(error) }, 'cannot tell whether the topic that fusing bypasses is empty');
        failed = true;
        pauseMs = longestPollMs;
        if (!(await wait())) return;
      }
    }
    if (own !== generation || signal.aborted) return;
    branch.before = nobody;
    branch.waits.over();
    branch.open = true;
    branch.executor.wake();
    await openBehind(branch, own);
  }

  async function openBehind(branch: Branch, own: number): Promise<void> {
    await Promise.all([...branch.next.values()].map((follower) => open(follower, own)));
  }

  /** False where it is to be tried again. */
  async function tryToTakeIn(part: Chain, behind: (step: Step) => boolean): Promise<boolean> {
    const { stage, from } = part.step;
    // The log is away: nothing goes on, and nothing is lost by looking again.
    const left = await backlog(log, part.step).catch(() => Infinity);
    if (wanted.get(stage.name) !== part.step || signal.aborted) return true;
    const hosts = all().filter((branch) => behind(branch.step));
    // One that was let go a moment ago may still have to finish.
    if (left > nearlyEmpty || hosts.some(({ next }) => next.get(from)?.last)) return false;
    const before = new Set(inHand());
    for (const branch of hosts) {
      if (branch.next.has(from)) continue;
      const taken = grow(part);
      taken.before = before;
      branch.next.set(from, taken);
      logger.info({ stage: stage.name, topic: from }, 'fused: what is fetched from now on is handed over in memory');
      // Else its host opens it, once what that one's own topic held is in this one's.
      if (branch.open) void open(taken, generation);
    }
    return true;
  }

  async function keepTrying(part: Chain, behind: (step: Step) => boolean): Promise<void> {
    do await clock.sleep(lookMs, signal);
    while (!(await tryToTakeIn(part, behind)));
  }

  async function leave(host: Branch, topic: string, branch: Branch): Promise<void> {
    branch.last = new Set(inHand());
    for (const queue of queues()) queue.setApart();
    while (!signal.aborted && (hasAny(branch.last) || under(branch).some(({ executor }) => !executor.idle))) await clock.sleep(pollMs, signal);
    host.next.delete(topic);
  }

  return {
    head: head.executor,
    executors: () => all().map(({ executor }) => executor),
    steps: () => all().map(({ step }) => step),
    resting: () => all().some(({ open: isOpen, executor }) => !isOpen || executor.resting()),
    waits: () => all().flatMap(({ waits }) => waits.now() ?? []),
    assigned() {
      generation += 1;
      for (const branch of all()) {
        branch.before = nobody;
        branch.open = branch === head;
      }
      void openBehind(head, generation);
    },
    async takeIn(part, behind) {
      wanted.set(part.step.stage.name, part.step);
      if (!(await tryToTakeIn(part, behind))) void keepTrying(part, behind);
    },
    async letGo(name, limitMs) {
      wanted.delete(name);
      const left: Promise<void>[] = [];
      for (const host of all()) {
        for (const [topic, branch] of host.next) if (branch.step.stage.name === name && !branch.last) left.push(leave(host, topic, branch));
      }
      if (left.length === 0) return;
      const limit = new AbortController();
      await Promise.race([Promise.all(left), clock.sleep(limitMs, limit.signal)]);
      limit.abort();
    },
  };
}
