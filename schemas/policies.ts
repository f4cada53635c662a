/** A value of the topic `policies`: what a tenant wants done with its pictures from now on, by the tenant's name. No value: as the settings say. */
import { z } from 'zod';

export const policiesTopic = 'policies';

/** How a face is covered: not at all, by a smear of its colours, or by squares. */
export const coverings = ['off', 'blur', 'pixelate'] as const;
export type Covering = (typeof coverings)[number];

export const policySchema = z.object({ faces: z.enum(coverings) });
export type Policy = z.infer<typeof policySchema>;

/** Null: as the settings say. */
export const encodeCovering = (faces: Covering | null): Buffer | null => (faces === null ? null : Buffer.from(JSON.stringify({ faces } satisfies Policy)));

/** Null for what makes no sense. */
export function readPolicy(value: Buffer): Policy | null {
  try {
    return policySchema.parse(JSON.parse(value.toString()));
  } catch {
    return null;
  }
}
