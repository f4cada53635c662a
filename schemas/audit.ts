/** The audit trail's entries and the chain that makes tampering show. */
import { createHash } from 'node:crypto';

export interface AuditEntry {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** `key:ID`, `token:ISSUER#SUBJECT`, `cli:USER`; empty where nobody was recognised. */
  readonly actor: string;
  readonly tenant: string;
  readonly role: string;
  /** A route, `POST /v1/infer`, or a command, `keys create`. */
  readonly action: string;
  /** What it was done to: parameters of the route, never a body or a secret. */
  readonly target: string;
  /** The HTTP status, or 0 for a command that was carried out. */
  readonly status: number;
  /** Where it came from; empty for a command. */
  readonly address: string;
}

export interface ChainedEntry {
  /** From 1, without gaps. */
  readonly number: number;
  /** The entry as text: what is hashed is what was written, whatever a newer version would write. */
  readonly entry: string;
  /** 32 bytes. */
  readonly hash: Buffer;
}

/** Before the first entry. */
export const genesis: Buffer = Buffer.alloc(32);

/** A place in the chain: the number of an entry and its hash, or 0 and `genesis`. */
export type ChainLink = Pick<ChainedEntry, 'number' | 'hash'>;

const pruneAction = 'audit prune';
const pruneTarget = ({ number, hash }: ChainLink): string => JSON.stringify({ to: number, hash: hash.toString('hex') });

/** What retention leaves in the chain when it takes out all up to `last`: whoever cuts the trail off elsewhere has to add an entry that says so. */
export const anchorEntry = (last: ChainLink, at: number, tenant: string): AuditEntry => ({
  at, actor: 'retention', tenant, role: '', action: pruneAction, target: pruneTarget(last), status: 0, address: '',
});

export function vouchesFor(entry: string, last: ChainLink): boolean {
  const { action, target } = JSON.parse(entry) as AuditEntry;
  return action === pruneAction && target === pruneTarget(last);
}

/** What PostgreSQL has in no text of JSON: NUL, and half of a pair of surrogates, as is left where text is cut off. One such entry would hold up all after it. */
const unwritable = /[\0\p{Surrogate}]/gu;

/** Keys in a fixed order. */
export const entryText = ({ at, actor, tenant, role, action, target, status, address }: AuditEntry): string =>
  JSON.stringify({ at, actor, tenant, role, action, target, status, address }, (_key, value: unknown) => (typeof value === 'string' ? value.replace(unwritable, '\ufffd') : value));

/** SHA-256 of the previous hash, the number (8 bytes, big-endian) and the entry (UTF-8). */
export function chainHash(previous: Buffer, number: number, entry: string): Buffer {
  const place = Buffer.alloc(8);
  place.writeBigUInt64BE(BigInt(number));
  return createHash('sha256').update(previous).update(place).update(entry).digest();
}

/** Appends to a chain that ends with `previous` at `number`. */
export function chain(entries: readonly string[], number: number, previous: Buffer): ChainedEntry[] {
  let [at, hash] = [number, previous];
  return entries.map((entry) => {
    at += 1;
    hash = chainHash(hash, at, entry);
    return { number: at, entry, hash };
  });
}

/** Where a chain is broken, and how it shows. */
export interface Break {
  readonly number: number;
  readonly why: string;
}

/** Checks entries in the order of their numbers, from behind `start` on; the answered function takes the next ones, and answers the first break. */
export function chainCheck(start: ChainLink = { number: 0, hash: genesis }): (entries: readonly ChainedEntry[]) => Break | null {
  let { number, hash } = start;
  return (entries) => {
    for (const one of entries) {
      if (one.number !== number + 1) return { number: number + 1, why: one.number > number + 1 ? `entries ${number + 1} to ${one.number - 1} are missing` : `entry ${one.number} is there twice` };
      if (!chainHash(hash, one.number, one.entry).equals(one.hash)) return { number: one.number, why: 'its text or its hash was changed, or the hash of the entry before it' };
      ({ number, hash } = one);
    }
    return null;
  };
}
