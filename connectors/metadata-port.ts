/** The port of what is known about who may do what, and of what they did: PostgreSQL, as a server or embedded. */
import type { AuditEntry, ChainedEntry, ChainLink } from '../schemas/audit.ts';
import type { Role } from '../schemas/roles.ts';

export interface Tenant {
  readonly name: string;
  /** Of schemas/plans.json; null: the default of the process. */
  readonly plan: string | null;
  readonly createdAt: number;
}

/** A key as anybody may see it who administers it. Times are milliseconds since the epoch. */
export interface KeyInfo {
  readonly id: string;
  readonly tenant: string;
  readonly role: Role;
  readonly label: string;
  /** Null: the tenant's. */
  readonly plan: string | null;
  /** Those it is for, sources also by how they begin (`gate-*`); null: all. */
  readonly models: readonly string[] | null;
  readonly sources: readonly string[] | null;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
  readonly lastUsedAt: number | null;
}

export type NewKey = Omit<KeyInfo, 'createdAt' | 'revokedAt' | 'lastUsedAt'> & {
  /** SHA-256 of the secret. */
  readonly secretHash: Buffer;
};

/** What a key is checked against. */
export interface HeldKey extends KeyInfo {
  readonly secretHash: Buffer;
  readonly tenantPlan: string | null;
}

export interface SecondFactor {
  /** Base32. */
  readonly secret: string;
  readonly confirmed: boolean;
}

/** Every method throws metadata_unavailable. */
export interface AccessStore {
  /** Throws already_exists. */
  createTenant(name: string, plan: string | null): Promise<Tenant>;
  /** As createTenant, and nothing where it exists. */
  ensureTenant(name: string): Promise<void>;
  tenants(): Promise<Tenant[]>;
  tenant(name: string): Promise<Tenant | null>;
  /** Throws not_found for an unknown tenant. */
  createKey(key: NewKey): Promise<KeyInfo>;
  /** Creates it only if there is no key yet, whoever else tries at the same time; answers whether it did. */
  createFirstKey(key: NewKey): Promise<boolean>;
  /** Newest first; of one tenant, or of all. */
  keys(tenant: string | null): Promise<KeyInfo[]>;
  findKey(id: string): Promise<HeldKey | null>;
  /** Which of these keys are there, not revoked and not expired. */
  standing(ids: readonly string[]): Promise<Set<string>>;
  /** At once, for everybody. Null for a key that is not there, or is not of this tenant. */
  revokeKey(id: string, tenant: string | null): Promise<KeyInfo | null>;
  /** When keys were last used, by id. */
  usedKeys(uses: ReadonlyMap<string, number>): Promise<void>;
  /** 32 bytes that all edges share. */
  sharedSecret(name: string): Promise<Buffer>;
  /** Throws secrets_unavailable. */
  secondFactor(principal: string): Promise<SecondFactor | null>;
  /** Replaces one that was never confirmed. Throws already_exists for one that was, secrets_unavailable. */
  enrolSecondFactor(principal: string, secret: string): Promise<void>;
  /** Takes the code of this time step, once; false when it, or a later one, was taken before. Confirms the factor. */
  takeStep(principal: string, step: number): Promise<boolean>;
  removeSecondFactor(principal: string): Promise<boolean>;
  /**
   * Seals anew what lies there plain or under an older key; answers how many that were, and how many stay plain as there is no
   * key. Throws secrets_unavailable where one is sealed with a key that is not here.
   */
  sealSecrets(): Promise<{ readonly sealed: number; readonly plain: number }>;
  /**
   * Tells which keys were changed, by whichever process; null: any may have been, as the connection was away. Resolves with
   * the connection's state and how to end it.
   */
  watchKeys(changed: (id: string | null) => void): Promise<{ readonly connected: () => boolean; close(): Promise<void> }>;
}

/** Every method throws metadata_unavailable. */
export interface AuditStore {
  /** Chains the entries to what is there, in one transaction. */
  append(entries: readonly AuditEntry[]): Promise<void>;
  /** In the order of their numbers, from one number on. */
  read(from: number, limit: number): Promise<ChainedEntry[]>;
  /** The last entry, and the last of those that retention took out, as the head says. */
  head(): Promise<ChainLink & { readonly pruned: ChainLink }>;
  /**
   * Takes out the oldest entries up to the first that was recorded at `before` (ms) or later, or is not in the topic yet, and
   * chains an entry that vouches for where the trail now begins. Answers how many went.
   */
  prune(before: number, now: number, tenant: string): Promise<number>;
  /**
   * Hands what is not in the topic yet to `send`, if no other process is at it; answers how many. What was sent by a process
   * that ended before it could say so is sent again.
   */
  publish(publisher: string, limit: number, send: (entries: readonly ChainedEntry[]) => Promise<void>): Promise<number>;
}

export interface Metadata {
  readonly access: AccessStore;
  readonly audit: AuditStore;
  close(): Promise<void>;
}
