/** From the claims of a token to a principal: the tenant it names must exist here, and the role must be one of ours. */
import { SaccadeError } from '../../connectors/errors.ts';
import type { AccessStore, Tenant } from '../../connectors/metadata-port.ts';
import type { Clock } from '../../connectors/ports.ts';
import { type Role, roles, tenantPattern } from '../../schemas/roles.ts';
import type { TokenCheck } from './authenticate.ts';

export interface TokenOptions {
  readonly issuer: { claims(token: string): Promise<Readonly<Record<string, unknown>>> };
  readonly access: Pick<AccessStore, 'tenant'>;
  readonly clock: Clock;
  /** By which the issuer's clock may differ, in seconds. */
  readonly clockSkewS: number;
  readonly tenantClaim: string;
  readonly roleClaim: string;
  readonly home: string;
}

/** Tenants are never deleted; only a new plan is seen later. */
const tenantFreshMs = 60_000;

/** A claim by its name, or by its path where an issuer nests them: `realm_access.roles`. */
export function claimOf(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  return name.split('.').reduce<unknown>((value, part) => (typeof value === 'object' && value !== null && Object.hasOwn(value, part) ? (value as Record<string, unknown>)[part] : undefined), claims);
}

/** The highest of those it lists that are roles here; null: none is. */
export function roleOf(claim: unknown): Role | null {
  const named = typeof claim === 'string' ? claim.split(/[\s,]+/) : Array.isArray(claim) ? claim : [];
  return roles.findLast((role) => named.includes(role)) ?? null;
}

export function tokenCheck({ issuer, access, clock, clockSkewS, tenantClaim, roleClaim, home }: TokenOptions): TokenCheck {
  const tenants = new Map<string, { readonly tenant: Tenant; readonly at: number }>();

  async function tenantOf(name: unknown): Promise<Tenant> {
    const held = typeof name === 'string' ? tenants.get(name) : undefined;
    if (held && clock.now() - held.at < tenantFreshMs) return held.tenant;
    // What is no name is none that exists; a database fails at some.
    const tenant = typeof name === 'string' && tenantPattern.test(name) ? await access.tenant(name) : null;
    if (!tenant) throw new SaccadeError('unauthenticated', `The token's claim ${tenantClaim} names no tenant that exists here.`);
    tenants.set(tenant.name, { tenant, at: clock.now() });
    return tenant;
  }

  return {
    async check(token) {
      const claims = await issuer.claims(token);
      const role = roleOf(claimOf(claims, roleClaim));
      if (!role) throw new SaccadeError('unauthenticated', `The token's claim ${roleClaim} names none of the roles ${roles.join(', ')}.`);
      const { name, plan } = await tenantOf(claimOf(claims, tenantClaim));
      return { id: `token:${String(claims.iss)}#${String(claims.sub)}`, tenant: name, role, kind: 'token', home: name === home, plan: plan ?? undefined, expiresAt: (Number(claims.exp) + clockSkewS) * 1000 };
    },
  };
}
