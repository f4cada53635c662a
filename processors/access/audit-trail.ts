/** The audit trail of a process: gathered for a moment, chained to the table, handed on to the topic. */
import { asSaccadeError } from '../../connectors/errors.ts';
import type { AuditStore } from '../../connectors/metadata-port.ts';
import type { Clock } from '../../connectors/ports.ts';
import type { AuditEntry, ChainedEntry } from '../../schemas/audit.ts';

export interface AuditTrail {
  /** Returns at once. */
  record(entry: AuditEntry): void;
  /** Resolves when all that was recorded before is in the table. Throws metadata_unavailable; it is tried again by itself. */
  written(): Promise<void>;
  /** So much could not be written that no more may be done: what nobody could record must not happen. */
  readonly full: boolean;
  close(): Promise<void>;
}

export interface AuditTrailOptions {
  readonly store: AuditStore;
  readonly clock: Clock;
  /** Names this process among the publishers. */
  readonly publisher: string;
  /** Into the topic. Null: there is none. */
  readonly send: ((entries: readonly ChainedEntry[]) => Promise<void>) | null;
  /** For how long entries are kept; 0: for ever. */
  readonly keepMs?: number;
  /** Of the entries that say that others were taken out. */
  readonly tenant: string;
  readonly log: { warn(fields: object, message: string): void };
}

const everyMs = 250;
const batch = 500;
const most = 20_000;
/** How often it is looked for what other processes, commands above all, have written. */
const lookMs = 5_000;
/** How often it is looked whether entries are too old, and by how much they may be: a day's go together, and leave one entry. */
const pruneEveryMs = 3_600_000;
const dayMs = 86_400_000;

export function auditTrail({ store, clock, publisher, send, keepMs = 0, tenant, log }: AuditTrailOptions): AuditTrail {
  const waiting: AuditEntry[] = [];
  const closing = new AbortController();
  let writing: Promise<void> | null = null;
  let failing = false;

  async function write(): Promise<void> {
    while (waiting.length > 0) {
      const entries = waiting.slice(0, batch);
      await store.append(entries);
      waiting.splice(0, entries.length);
    }
  }
  /** One at a time: two would write the same entries. What is recorded while one writes is written by the next. */
  async function flush(): Promise<void> {
    while (writing) await writing.catch(() => {});
    writing = write().finally(() => (writing = null));
    await writing;
  }
  async function publish(): Promise<void> {
    if (!send) return;
    while ((await store.publish(publisher, batch, send)) === batch);
  }
  async function prune(): Promise<void> {
    const [now, { pruned }] = [clock.now(), await store.head()];
    const [oldest] = await store.read(pruned.number + 1, 1);
    if (!oldest || (JSON.parse(oldest.entry) as AuditEntry).at > now - keepMs - dayMs) return;
    await store.prune(now - keepMs, now, tenant);
  }
  async function attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      failing = false;
    } catch (error) {
      // Once, and again when it had been well in between: it is tried four times a second.
      if (!failing) log.warn({ error: asSaccadeError(error).message }, 'the audit trail cannot be written; trying again');
      failing = true;
    }
  }

  const running = (async () => {
    let [lookedAt, prunedAt] = [0, 0];
    while (!closing.signal.aborted) {
      await clock.sleep(everyMs, closing.signal);
      const something = waiting.length > 0;
      await attempt(async () => {
        if (something) await flush();
        if (!something && clock.now() - lookedAt < lookMs) return;
        lookedAt = clock.now();
        await publish();
        if (keepMs === 0 || clock.now() - prunedAt < pruneEveryMs) return;
        prunedAt = clock.now();
        await prune();
      });
    }
  })();

  return {
    record: (entry) => void waiting.push(entry),
    written: flush,
    get full() {
      return waiting.length > most;
    },
    async close() {
      closing.abort();
      await running;
      await attempt(async () => {
        await flush();
        await publish();
      });
    },
  };
}
