/** How the faces of tenants are covered, as their administration asks and says. */
import type { Covering } from '../../schemas/policies.ts';

export interface Faces {
  now(tenant: string): Covering;
  /** What was said while running; null: nothing, so the settings hold. */
  given(tenant: string): Covering | null;
  /** Null takes it back. Resolves once this edge goes by it. Throws log_unavailable. */
  give(tenant: string, covering: Covering | null): Promise<void>;
}
