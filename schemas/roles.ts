/** What a principal may do: each role may what those before it may. */

/** Read; infer; add to what models learn from; change who may what. */
export const roles = ['viewer', 'operator', 'trainer', 'admin'] as const;
export type Role = (typeof roles)[number];

export const atLeast = (role: Role, needed: Role): boolean => roles.indexOf(role) >= roles.indexOf(needed);

/** Names of tenants, wherever they are given: they become part of ids, labels and table filters. */
export const tenantPattern = /^[A-Za-z0-9_.-]{1,64}$/;
