/**
 * The records of one partition that are in flight, in offset order. Results may come in any order; they leave in this one,
 * and the commit position is the low-water mark: everything below it is done, whatever has finished above it.
 */
import type { LogRecord, OutgoingRecord, TopicPartition } from '../../connectors/ports.ts';

export interface Entry {
  readonly record: LogRecord;
  readonly queue: PartitionQueue;
  /** Branches of work not finished; 0 means the outputs are complete. */
  open: number;
  readonly outputs: OutgoingRecord[];
  /** Bytes charged to the budget until the entry is done. */
  bytes: number;
}

export class PartitionQueue {
  readonly source: TopicPartition;
  readonly generation: number;
  readonly #entries: Entry[] = [];
  /** Entries at the head that have been taken for sending. */
  #sending = 0;
  /** Those that no later one may leave together with: several, where branches are let go shortly after each other. */
  readonly #apart = new Set<Entry>();
  #position: number | null = null;
  #committed: number | null = null;
  /** Everything below it has been handed over, or is nobody's. */
  #fetched = 0;

  constructor(source: TopicPartition, generation: number) {
    this.source = source;
    this.generation = generation;
  }

  add(record: LogRecord, bytes: number): Entry {
    const entry: Entry = { record, queue: this, open: 1, outputs: [], bytes };
    this.#entries.push(entry);
    return entry;
  }

  get length(): number {
    return this.#entries.length;
  }

  hasComplete(): boolean {
    return this.#sending === 0 && this.#entries[0]?.open === 0;
  }

  entries(): readonly Entry[] {
    return this.#entries;
  }

  /** What is here now is acknowledged before anything that comes later leaves. */
  setApart(): void {
    const last = this.#entries.at(-1);
    if (last) this.#apart.add(last);
  }

  /** Takes the complete entries at the head, up to `maxBytes` of outputs (always at least one). One sending at a time keeps the order. */
  takeComplete(maxBytes: number): Entry[] {
    if (this.#sending > 0) return [];
    const taken: Entry[] = [];
    let bytes = 0;
    for (const entry of this.#entries) {
      if (entry.open > 0) break;
      bytes += entry.outputs.reduce((sum, output) => sum + (output.value?.length ?? 0), 0);
      if (taken.length > 0 && bytes > maxBytes) break;
      taken.push(entry);
      if (this.#apart.has(entry)) break;
    }
    this.#sending = taken.length;
    return taken;
  }

  /** What takeComplete() gave is acknowledged: the low-water mark moves. */
  sent(): void {
    const done = this.#entries.splice(0, this.#sending);
    this.#sending = 0;
    const last = done.at(-1);
    if (last) {
      this.#position = last.record.offset + 1;
      // takeComplete() ends with one that is set apart.
      this.#apart.delete(last);
    }
    this.#passNobodys();
  }

  /**
   * All below `next` has been fetched. What is nobody's record there (the marks that transactions leave, aborted records) is
   * passed once all before it is done: a position left short of the end looks like a record that waits, and grows old.
   */
  fetched(next: number): void {
    this.#fetched = next;
    this.#passNobodys();
  }

  #passNobodys(): void {
    if (this.#entries.length === 0 && this.#fetched > (this.#position ?? 0)) this.#position = this.#fetched;
  }

  /** The position to commit, or null when there is nothing new. */
  uncommitted(): number | null {
    return this.#position !== this.#committed ? this.#position : null;
  }

  committed(position: number): void {
    this.#committed = position;
  }
}
