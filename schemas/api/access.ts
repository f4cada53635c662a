/** Keys and tenants, as they are asked for and answered. */
import { z } from 'zod';
import { planNames } from '../plans.ts';
import { roles, tenantPattern } from '../roles.ts';

const tenantName = z.string().regex(tenantPattern, 'letters, digits, _ . - are expected, 64 at most');
const plan = z.enum(planNames).nullable();
const time = z.iso.datetime();

export const newKeySchema = z.strictObject({
  tenant: tenantName.optional().describe("Whose; without it the tenant of whoever asks. Another's only for admins of the tenant that runs the installation."),
  role: z.enum(roles),
  label: z.string().max(200).default('').describe('For people.'),
  plan: plan.default(null).describe("Limits; null: the tenant's. Given by an admin of the tenant that runs the installation alone."),
  expires_in_days: z.number().positive().max(3650).nullable().default(null).describe('Null: it does not expire.'),
});

export const keySchema = z.object({
  id: z.string(),
  tenant: z.string(),
  role: z.enum(roles),
  label: z.string(),
  plan: z.string().nullable(),
  created_at: time,
  created_by: z.string(),
  expires_at: time.nullable(),
  revoked_at: time.nullable(),
  last_used_at: time.nullable().describe('Give or take ten seconds.'),
});
export const madeKeySchema = keySchema.extend({ key: z.string().describe('The key itself, this once: it is kept nowhere.') });
export const keysSchema = z.object({ keys: z.array(keySchema).describe('Newest first.') });

export const newTenantSchema = z.strictObject({ name: tenantName, plan: plan.default(null).describe('Limits of its keys that name none; null: those of the installation.') });
export const tenantSchema = z.object({ name: z.string(), plan: z.string().nullable(), created_at: time });
export const tenantsSchema = z.object({ tenants: z.array(tenantSchema) });

export const ticketSchema = z.object({ ticket: z.string(), expires_in: z.number().int().describe('Seconds.') });

export const enrolmentSchema = z.object({ secret: z.string().describe('Base32, this once.'), uri: z.string().describe('The same for an authenticator app.') });
export const codeSchema = z.strictObject({ code: z.string().regex(/^\d{6}$/, 'six digits are expected') });
