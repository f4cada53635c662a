/** Checks the audit trail: its chain, its end, and whether the topic holds the same. */
import type { AuditStore } from '../../connectors/metadata-port.ts';
import { type AuditEntry, type Break, chainCheck, type ChainedEntry, type ChainLink, vouchesFor } from '../../schemas/audit.ts';

export interface Verdict {
  readonly entries: number;
  /** The number of the last entry that retention took out; 0: none. */
  readonly pruned: number;
  /** Of the topic, which were compared; null: it could not be reached. */
  readonly compared: number | null;
  /** The first place where something is wrong, or null. */
  readonly broken: Break | null;
}

const page = 2_000;

/** Reads the topic from its beginning: each entry, as often as it was sent. */
export type ReadTopic = (visit: (entry: ChainedEntry) => void) => Promise<void>;

/**
 * `topic` null: it cannot be asked. `keepMs`: for how long entries are kept, 0: for ever; what was taken out earlier than that was not
 * taken out by retention. Throws metadata_unavailable, log_unavailable.
 */
export async function verifyTrail(store: Pick<AuditStore, 'read' | 'head'>, topic: ReadTopic | null, keepMs = 0): Promise<Verdict> {
  // Before the entries: what is appended meanwhile is beyond it.
  const head = await store.head();
  const { pruned } = head;
  const { hashes, anchoredAt, broken: inTable } = await readTable(store, head);
  const broken = inTable ?? (pruned.number > 0 && keepMs === 0 ? { number: 1, why: 'it was taken out, and SACCADE_KEEP_AUDIT_DAYS keeps all (if it did not then, verify with the days it had)' } : null);
  // Retention went over it in the meantime.
  if (broken && (await store.head()).pruned.number !== pruned.number) return verifyTrail(store, topic, keepMs);
  const found = { entries: hashes.size, pruned: pruned.number };
  if (!topic) return { ...found, compared: null, broken };
  let compared = 0;
  let other: Break | null = null;
  const held = (number: number): string | undefined => (number === pruned.number ? pruned.hash.toString('hex') : hashes.get(number));
  // The topic is a second witness: whoever rewrote the whole chain in the table has not rewritten it there.
  await topic(({ number, hash, entry }) => {
    if (number <= pruned.number && other === null && (JSON.parse(entry) as AuditEntry).at > anchoredAt - keepMs) other = { number, why: 'the topic has it, and it was taken out of the table before its time' };
    if (number < pruned.number) return;
    compared += 1;
    const here = held(number);
    if (other !== null || here === hash.toString('hex') || (here === undefined && broken !== null)) return;
    other = { number, why: here === undefined ? 'the topic has it, and the table does not' : 'the topic has another one than the table' };
  });
  return { ...found, compared, broken: earlier(broken, other) };
}

/** Up to its end, or the first break; hashes by number. */
async function readTable(store: Pick<AuditStore, 'read'>, { pruned, ...end }: ChainLink & { readonly pruned: ChainLink }): Promise<{ hashes: Map<number, string>; anchoredAt: number; broken: Break | null }> {
  const hashes = new Map<number, string>();
  const check = chainCheck(pruned);
  let vouched = pruned.number === 0;
  /** When the entry was written that vouches for the beginning. */
  let anchoredAt = Number.POSITIVE_INFINITY;
  for (let from = pruned.number + 1; ; ) {
    const found = await store.read(from, page);
    const broken = check(found);
    for (const { number, hash, entry } of found) {
      hashes.set(number, hash.toString('hex'));
      if (!vouched && vouchesFor(entry, pruned)) [vouched, anchoredAt] = [true, (JSON.parse(entry) as AuditEntry).at];
    }
    if (broken) return { hashes, anchoredAt, broken };
    if (found.length < page) break;
    from = found.at(-1)!.number + 1;
  }
  if (end.number > pruned.number && hashes.get(end.number) !== end.hash.toString('hex')) {
    return { hashes, anchoredAt, broken: { number: Math.min(end.number, pruned.number + hashes.size + 1), why: `the head names ${end.number} as the last entry, which is missing or another` } };
  }
  return { hashes, anchoredAt, broken: vouched ? null : { number: pruned.number, why: 'the trail is said to begin after it, and no entry in it says that it was taken out' } };
}

const earlier = (a: Break | null, b: Break | null): Break | null => (a && b ? (a.number <= b.number ? a : b) : (a ?? b));
