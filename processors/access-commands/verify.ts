/** Checks the audit trail: its chain, its end, and whether the topic holds the same. */
import type { AuditStore } from '../../connectors/metadata-port.ts';
import { type Break, chainCheck, type ChainedEntry } from '../../schemas/audit.ts';

export interface Verdict {
  readonly entries: number;
  /** Of the topic, which were compared; null: it could not be reached. */
  readonly compared: number | null;
  /** The first place where something is wrong, or null. */
  readonly broken: Break | null;
}

const page = 2_000;

/** Reads the topic from its beginning: each entry, as often as it was sent. */
export type ReadTopic = (visit: (entry: ChainedEntry) => void) => Promise<void>;

/** `topic` null: it cannot be asked. Throws metadata_unavailable, log_unavailable. */
export async function verifyTrail(store: Pick<AuditStore, 'read' | 'head'>, topic: ReadTopic | null): Promise<Verdict> {
  // Before the entries: what is appended meanwhile is beyond it.
  const head = await store.head();
  const hashes = new Map<number, string>();
  const check = chainCheck();
  let entries = 0;
  let broken: Break | null = null;
  for (let from = 1; broken === null; ) {
    const found = await store.read(from, page);
    broken = check(found);
    entries += found.length;
    for (const { number, hash } of found) hashes.set(number, hash.toString('hex'));
    if (found.length < page) break;
    from = found.at(-1)!.number + 1;
  }
  if (broken === null && hashes.get(head.number) !== head.hash.toString('hex') && head.number > 0) {
    broken = { number: Math.min(head.number, entries + 1), why: `the head names ${head.number} as the last entry, which is missing or another` };
  }
  if (!topic) return { entries, compared: null, broken };
  let compared = 0;
  let other: Break | null = null;
  // The topic is a second witness: whoever rewrote the whole chain in the table has not rewritten it there.
  await topic(({ number, hash }) => {
    compared += 1;
    const held = hashes.get(number);
    if (other !== null || held === hash.toString('hex') || (held === undefined && broken !== null)) return;
    other = { number, why: held === undefined ? 'the topic has it, and the table does not' : 'the topic has another one than the table' };
  });
  return { entries, compared, broken: earlier(broken, other) };
}

const earlier = (a: Break | null, b: Break | null): Break | null => (a && b ? (a.number <= b.number ? a : b) : (a ?? b));
