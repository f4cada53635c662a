/** Tenants, keys and second factors in PostgreSQL. */
import { randomBytes } from 'node:crypto';
import type { Role } from '../../schemas/roles.ts';
import { SaccadeError } from '../errors.ts';
import type { AccessStore, HeldKey, KeyInfo, NewKey, Tenant } from '../metadata-port.ts';
import { type Database, type Query, violation } from './database.ts';
import type { Sealer } from './sealing.ts';
import { secondFactors } from './second-factors.ts';
import { watchChannel } from './watch.ts';

const channel = 'saccade_keys';

interface KeyRow {
  readonly id: string;
  readonly tenant: string;
  readonly role: Role;
  readonly label: string;
  readonly plan: string | null;
  readonly models: string[] | null;
  readonly sources: string[] | null;
  readonly created_at: Date;
  readonly created_by: string;
  readonly expires_at: Date | null;
  readonly revoked_at: Date | null;
  readonly last_used_at: Date | null;
}

const columns = 'id, tenant, role, label, plan, models, sources, created_at, created_by, expires_at, revoked_at, last_used_at';
const ms = (date: Date | null): number | null => date?.getTime() ?? null;
const keyOf = (row: KeyRow): KeyInfo => ({
  id: row.id, tenant: row.tenant, role: row.role, label: row.label, plan: row.plan, models: row.models, sources: row.sources, createdAt: row.created_at.getTime(), createdBy: row.created_by,
  expiresAt: ms(row.expires_at), revokedAt: ms(row.revoked_at), lastUsedAt: ms(row.last_used_at),
});
const tenantOf = ({ name, plan, created_at }: { name: string; plan: string | null; created_at: Date }): Tenant => ({ name, plan, createdAt: created_at.getTime() });

async function insertKey(query: Query, key: NewKey): Promise<KeyInfo> {
  try {
    const [row] = await query<KeyRow>(
      `INSERT INTO keys (id, secret_hash, tenant, role, label, plan, models, sources, created_by, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING ${columns}`,
      [key.id, key.secretHash, key.tenant, key.role, key.label, key.plan, key.models, key.sources, key.createdBy, key.expiresAt === null ? null : new Date(key.expiresAt)],
    );
    // An edge may have been asked about this id before it existed.
    await query('SELECT pg_notify($1, $2)', [channel, key.id]);
    return keyOf(row!);
  } catch (error) {
    throw violation(error) === 'foreign key' ? new SaccadeError('not_found', `There is no tenant '${key.tenant}'.`, error) : error;
  }
}

export function accessStore(database: Database, sealing: Sealer): AccessStore {
  const { query } = database;
  return {
    ...secondFactors(database, sealing),
    async createTenant(name, plan) {
      try {
        const [row] = await query<Parameters<typeof tenantOf>[0]>('INSERT INTO tenants (name, plan) VALUES ($1, $2) RETURNING *', [name, plan]);
        return tenantOf(row!);
      } catch (error) {
        throw violation(error) === 'unique' ? new SaccadeError('already_exists', `The tenant '${name}'.`, error) : error;
      }
    },
    async ensureTenant(name) {
      await query('INSERT INTO tenants (name) VALUES ($1) ON CONFLICT DO NOTHING', [name]);
    },
    tenants: async () => (await query<Parameters<typeof tenantOf>[0]>('SELECT * FROM tenants ORDER BY name')).map(tenantOf),
    async tenant(name) {
      const [row] = await query<Parameters<typeof tenantOf>[0]>('SELECT * FROM tenants WHERE name = $1', [name]);
      return row ? tenantOf(row) : null;
    },
    createKey: (key) => database.transaction((within) => insertKey(within, key)),
    createFirstKey: (key) =>
      database.transaction(async (within) => {
        await within('LOCK TABLE keys IN EXCLUSIVE MODE');
        const [held] = await within('SELECT 1 FROM keys LIMIT 1');
        if (held) return false;
        await insertKey(within, key);
        return true;
      }),
    keys: async (tenant) => (await query<KeyRow>(`SELECT ${columns} FROM keys WHERE $1::text IS NULL OR tenant = $1 ORDER BY created_at DESC, id`, [tenant])).map(keyOf),
    async findKey(id): Promise<HeldKey | null> {
      const [row] = await query<KeyRow & { secret_hash: Buffer; tenant_plan: string | null }>(
        `SELECT ${columns.replaceAll(/\w+/g, 'k.$&')}, k.secret_hash, t.plan AS tenant_plan FROM keys k JOIN tenants t ON t.name = k.tenant WHERE k.id = $1`,
        [id],
      );
      return row ? { ...keyOf(row), secretHash: row.secret_hash, tenantPlan: row.tenant_plan } : null;
    },
    async standing(ids) {
      const rows = await query<{ id: string }>('SELECT id FROM keys WHERE id = ANY($1::text[]) AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())', [ids]);
      return new Set(rows.map(({ id }) => id));
    },
    revokeKey: (id, tenant) =>
      database.transaction(async (within) => {
        const [row] = await within<KeyRow>(`UPDATE keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 AND ($2::text IS NULL OR tenant = $2) RETURNING ${columns}`, [id, tenant]);
        if (!row) return null;
        // Goes out with the commit: whoever hears of it finds the key revoked.
        await within('SELECT pg_notify($1, $2)', [channel, id]);
        return keyOf(row);
      }),
    async usedKeys(uses) {
      if (uses.size === 0) return;
      await query(
        'UPDATE keys SET last_used_at = greatest(last_used_at, used.at) FROM unnest($1::text[], $2::timestamptz[]) AS used (id, at) WHERE keys.id = used.id',
        [[...uses.keys()], [...uses.values()].map((at) => new Date(at).toISOString())],
      );
    },
    async sharedSecret(name) {
      await query('INSERT INTO shared_secrets (name, secret) VALUES ($1, $2) ON CONFLICT DO NOTHING', [name, randomBytes(32)]);
      const [row] = await query<{ secret: Buffer }>('SELECT secret FROM shared_secrets WHERE name = $1', [name]);
      return row!.secret;
    },
    watchKeys: (changed) => watchChannel(database, channel, changed),
  };
}
