/** Whose pictures are shown with which covering. */
import type { Covering } from '../../schemas/policies.ts';

export interface MaskPolicy {
  /** Of tenants without one of their own. */
  readonly usual: Covering;
  readonly tenants: ReadonlyMap<string, Covering>;
}

const on = (covering: Covering | undefined): covering is Covering => covering !== undefined && covering !== 'off';

/** `tenant` null: nobody knows whose the picture is, so it is covered as soon as anybody wants that. */
export function coveringFor({ usual, tenants }: MaskPolicy, tenant: string | null): Covering {
  if (tenant !== null) return tenants.get(tenant) ?? usual;
  return on(usual) ? usual : ([...tenants.values()].find(on) ?? 'off');
}

/** Whether anybody's pictures are covered. */
export const masksAnybody = (policy: MaskPolicy): boolean => on(coveringFor(policy, null));
