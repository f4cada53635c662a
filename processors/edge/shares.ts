/**
 * Who has how many of a door's pictures under way: a key that asks all the time must not keep out one that asks now and then. Each
 * tenant has an even part of what all of them may have, and of a tenant's part each of its keys; what one does not want is the others'.
 */
import type { Principal } from './principal.ts';

/** Who asks, as it is counted. */
export type Asker = Pick<Principal, 'tenant' | 'id'>;

export interface Shares {
  take(who: Asker): void;
  back(who: Asker): void;
  /** Whether one more would be within its part, where all together may have so many. */
  within(who: Asker, all: number): boolean;
}

export function openShares(): Shares {
  const tenants = new Map<string, { inUse: number; readonly keys: Map<string, number> }>();

  /** An even part, if whoever asks is one of them. */
  const part = (all: number, of: ReadonlyMap<string, unknown>, name: string): number => all / (of.size + (of.has(name) ? 0 : 1));

  return {
    take({ tenant, id }) {
      const its = tenants.get(tenant) ?? { inUse: 0, keys: new Map<string, number>() };
      tenants.set(tenant, its);
      its.inUse += 1;
      its.keys.set(id, (its.keys.get(id) ?? 0) + 1);
    },
    back({ tenant, id }) {
      const its = tenants.get(tenant);
      if (!its) return;
      its.inUse -= 1;
      if (its.inUse === 0) tenants.delete(tenant);
      const left = (its.keys.get(id) ?? 0) - 1;
      if (left > 0) its.keys.set(id, left);
      else its.keys.delete(id);
    },
    within({ tenant, id }, all) {
      const its = tenants.get(tenant);
      const ofTenant = part(all, tenants, tenant);
      const ofKey = part(ofTenant, its?.keys ?? new Map(), id);
      return (its?.inUse ?? 0) + 1 <= ofTenant || (its?.keys.get(id) ?? 0) + 1 <= ofKey;
    },
  };
}
