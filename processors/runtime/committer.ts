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
  now(): Promise<void>;
  /** Resolves when none is under way. */
  idle(): Promise<void>;
}

export function committer({ clock, intervalMs, signal, log, consumer, queues, generation }: CommitterOptions): Committer {
  let committing: Promise<void> | null = null;
  /** The last generation whose commit was too late; nothing more of it can be committed. */
  let refused: number | null = null;

  const news = (): boolean => [...queues()].some((queue) => queue.uncommitted() !== null);

  /** One at a time: two under way could arrive in either order, and the position would go back. */
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

  async function now(): Promise<void> {
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
    async idle() {
      await committing;
    },
  };
}
