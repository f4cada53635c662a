/**
 * Which lane a source's frames take. A source above its quota goes over to the overflow lane whole, and comes back when it
 * has been calm for a while and all its overflow frames have left that lane: so its order holds, and its flood is not in the
 * way of its neighbours.
 *
 * Who is in the overflow lane lies in a table in the log, written before the first frame that goes by it: whoever reads the
 * partition next, after a crash or a rebalance, decides alike. A position below the entry's went, and goes again, by `frames`.
 */
import type { Clock } from '../../connectors/ports.ts';
import type { Passage } from './passage.ts';
import type { Quota } from './quota.ts';

/** The part of a table in the log that lanes need (processors/runtime/control-table.ts). */
export interface LaneTable {
  entries(): ReadonlyMap<string, Buffer>;
  put(key: string, value: Buffer | null): Promise<void>;
  caughtUp(): Promise<void>;
}

/** A frame as far as its lane goes. */
export interface Arrival {
  readonly source: string;
  readonly partition: number;
  readonly offset: number;
  /** When the log got it, in milliseconds since the epoch. */
  readonly at: number;
  /** It was offered to ingest before: its quota is taken. */
  readonly again: boolean;
}

/** The overflow lane begins, for this source, at that position of ingest's topic; null: the frame takes the usual lane. */
export type Lane = { readonly partition: number; readonly offset: number } | null;

export interface Lanes {
  /** A lane for each frame, in order; to be awaited before the next call. Throws log_unavailable: offer them again. */
  choose(arrivals: readonly Arrival[], generation: AbortSignal): Promise<readonly Lane[]>;
  /** Sources in the overflow lane, of those read here. */
  readonly overflowing: number;
  /** To be told of what the table reads. */
  tableChanged(key: string, value: Buffer | null): void;
}

interface Held {
  partition: number;
  /** First offset of the overflow lane. */
  readonly from: number;
  /** Last offset known to have gone that way; null when only a process before this one could know. */
  last: number | null;
  /** The table may say something else, since a write failed or someone overwrote it. */
  unsure: boolean;
}

export interface LanesOptions {
  readonly quota: Pick<Quota, 'take' | 'calm'>;
  table(): Promise<LaneTable>;
  /** Of the overflow lane. */
  readonly passage: Passage;
  readonly clock: Clock;
  readonly told?: (source: string, lane: 'frames' | 'frames.overflow') => void;
  /** Of the keys in the table: sources of one name in two topics are two. */
  readonly prefix?: string;
}

/** How often the positions of the lane's reader are asked for. */
const lookEveryMs = 250;

export function lanes({ quota, table: openTable, passage, clock, told = () => {}, prefix = 'source/' }: LanesOptions): Lanes {
  const held = new Map<string, Held>();
  let generation: AbortSignal | null = null;
  let following = false;

  /** Whoever had the partitions before may have written until just now. */
  async function begin(table: LaneTable, current: AbortSignal): Promise<void> {
    await table.caughtUp();
    held.clear();
    for (const [key, value] of table.entries()) {
      const position = positionOf(value);
      if (key.startsWith(prefix) && position) held.set(key.slice(prefix.length), { partition: position.partition, from: position.offset, last: null, unsure: false });
    }
    generation = current;
  }

  /** Entries of partitions that others read are theirs. */
  const overflowing = (): number => [...held.values()].filter(({ last }) => last !== null).length;

  /** In the background, while frames of ours may be in the overflow lane: a choice uses what is known, and what is known stays true. */
  async function follow(current: AbortSignal): Promise<void> {
    if (following) return;
    following = true;
    const waiting = (): boolean => [...held.values()].some(({ partition, last }) => last !== null && !passage.passed(partition, last + 1));
    while (waiting() && !current.aborted) {
      await clock.sleep(lookEveryMs, current);
      // Not to be answered is no harm: sources stay where they are.
      await passage.look().catch(() => {});
    }
    following = false;
  }

  const save = async (table: LaneTable, source: string, entry: Held): Promise<void> => {
    entry.unsure = true;
    await table.put(prefix + source, Buffer.from(JSON.stringify({ partition: entry.partition, offset: entry.from })));
    entry.unsure = false;
  };

  async function goOver(table: LaneTable, { source, partition, offset }: Arrival): Promise<Held> {
    const entry: Held = { partition, from: offset, last: offset, unsure: true };
    // Known here before it is acknowledged: a write that seems to have failed may stand all the same.
    held.set(source, entry);
    await save(table, source, entry);
    told(source, 'frames.overflow');
    return entry;
  }

  const mayReturn = (source: string, { partition, last }: Held, at: number): boolean =>
    last !== null && passage.passed(partition, last + 1) && quota.calm(source, at);

  /** The table knows it before the first frame takes the usual lane again; else a successor would let it overtake others. */
  async function comeBack(table: LaneTable, source: string, entry: Held): Promise<void> {
    entry.unsure = true;
    await table.put(prefix + source, null);
    held.delete(source);
    told(source, 'frames');
  }

  async function one(table: LaneTable, arrival: Arrival): Promise<Lane> {
    const { source, partition, offset } = arrival;
    const at = Math.min(arrival.at, clock.now());
    const over = !arrival.again && !quota.take(source, at);
    let entry = held.get(source);
    if (!entry) {
      if (!over) return null;
      entry = await goOver(table, arrival);
    }
    // The topic has more partitions than before, and the key falls on another one now.
    if (entry.partition !== partition) entry = await goOver(table, arrival);
    if (offset < entry.from) return null;
    if (mayReturn(source, entry, at)) {
      await comeBack(table, source, entry);
      return null;
    }
    if (entry.unsure) await save(table, source, entry);
    entry.last = Math.max(entry.last ?? 0, offset);
    return { partition: entry.partition, offset: entry.from };
  }

  return {
    async choose(arrivals, current) {
      const table = await openTable();
      if (generation !== current) await begin(table, current);
      const chosen: Lane[] = [];
      for (const arrival of arrivals) chosen.push(await one(table, arrival));
      // Those that have fallen silent: nobody would ask for them again.
      for (const [source, entry] of held) if (mayReturn(source, entry, clock.now())) await comeBack(table, source, entry);
      void follow(current);
      return chosen;
    },
    get overflowing() {
      return overflowing();
    },
    tableChanged(key, value) {
      if (!key.startsWith(prefix)) return;
      const source = key.slice(prefix.length);
      const entry = held.get(source);
      if (!entry || value !== null) return;
      // Of a source that is in this lane by our own choice it is no more than a late word of whoever read it before.
      if (entry.last === null) held.delete(source);
      else entry.unsure = true;
    },
  };
}

/** Null for what no ingest wrote: then the source counts as being in the usual lane. */
function positionOf(value: Buffer): { partition: number; offset: number } | null {
  try {
    const { partition, offset } = JSON.parse(value.toString()) as Record<string, unknown>;
    return Number.isSafeInteger(partition) && Number.isSafeInteger(offset) ? { partition: partition as number, offset: offset as number } : null;
  } catch {
    return null;
  }
}
