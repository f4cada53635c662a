/** Commits the low-water marks of one consumer, for a generation at a time. */
import type { Clock, LogConsumer, Position } from '../../connectors/ports.ts';
import type { Logger } from './logger.ts';
import type { PartitionQueue } from './partition-queue.ts';

export interface CommitterOptions {
  readonly clock: Clock;
  readonly intervalMs: number;
  readonly signal: AbortSignal;
  readonly log: Logger;
  consumer(): LogConsumer | null;
  queues(): Iterable<PartitionQueue>;
  generation(): number;
}

export interface Committer {
  /** Within the interval. */
  soon(): void;
  /** As soon as none is under way. */
  now(): Promise<void>;
  /** Begun before this returns: when the generation ends, nothing that begins later need count. */
  last(): Promise<void>;
  /** Resolves when none is under way. */
  idle(): Promise<void>;
}

export function committer({ clock, intervalMs, signal, log, consumer, queues, generation }: CommitterOptions): Committer {
  /** What soon() has promised. */
  let committing: Promise<void> | null = null;
  let underWay: Promise<void> | null = null;
  let waiting: Promise<void> | null = null;
  /** The last generation whose commit was too late; nothing more of it can be committed. */
  let refused: number | null = null;

  const news = (): boolean => [...queues()].some((queue) => queue.uncommitted() !== null);

  function soon(): void {
    if (!news()) return;
    committing ??= clock
      .sleep(intervalMs, signal)
      .then(now)
      .then(() => {
        committing = null;
        if (signal.aborted || generation() === refused) return;
        // What was finished, or failed to be committed, meanwhile.
        soon();
      });
  }

  function begun(commits: Promise<void>): Promise<void> {
    const own = commits.finally(() => {
      if (underWay === own) underWay = null;
    });
    underWay = own;
    return own;
  }

  /** One at a time: two under way could take effect in either order, and the position would go back. One that waits takes along all. */
  function now(): Promise<void> {
    if (underWay === null && waiting === null) return begun(commit());
    waiting ??= afterwards();
    return waiting;
  }

  async function afterwards(): Promise<void> {
    while (underWay !== null) await underWay;
    waiting = null;
    await begun(commit());
  }

  /**
   * The exception: waiting for an answer would miss the end. The log takes both in their order, unless the older failed and
   * is repeated; then it is answered last, its positions count as the committed ones, and the newer ones are pending again.
   */
  function last(): Promise<void> {
    const older = underWay;
    const newer = commit();
    return begun(older === null ? newer : Promise.all([older, newer]).then(commit));
  }

  async function commit(): Promise<void> {
    const pending: { queue: PartitionQueue; position: Position }[] = [];
    for (const queue of queues()) {
      const offset = queue.uncommitted();
      if (offset !== null) pending.push({ queue, position: { ...queue.source, offset } });
    }
    const member = consumer();
    if (pending.length === 0 || !member) return;
    const { generation: of } = pending[0]!.queue;
    try {
      const accepted = await member.commit(of, pending.map((p) => p.position));
      if (accepted) for (const { queue, position } of pending) queue.committed(position.offset);
      else refused = of;
    } catch (error) {
      // Not lost: the same or a later position is committed next time, and a repeat is recognised by its id.
      log.warn({ error: String(error) }, 'commit failed');
    }
  }

  return {
    soon,
    now,
    last,
    async idle() {
      await committing;
    },
  };
}
