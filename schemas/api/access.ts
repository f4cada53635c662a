/** Keys and tenants, as they are asked for and answered. */
import { z } from 'zod';
import { coverings } from '../policies.ts';
import { planNames } from '../plans.ts';
import { roles, tenantPattern } from '../roles.ts';

const tenantName = z.string().regex(tenantPattern, 'letters, digits, _ . - are expected, 64 at most');
/** Text that PostgreSQL holds: all but NUL. */
const storable = (most: number) => z.string().max(most).regex(/^[^\0]*$/, 'text without a NUL character is expected');
const plan = z.enum(planNames).nullable();
const time = z.iso.datetime();

/** Names of models, and of sources, which may also be said by how they begin. */
export const modelName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$/;
export const sourcePattern = /^[^*\0]{1,256}\*?$/;
const models = z.array(z.string().regex(modelName, 'a name of a model is expected')).min(1).max(100).nullable();
const sources = z.array(z.string().regex(sourcePattern, 'a name of a source is expected, with * for the rest of it')).min(1).max(100).nullable();

export const newKeySchema = z.strictObject({
  tenant: tenantName.optional().describe("Whose; without it the tenant of whoever asks. Another's only for admins of the tenant that runs the installation."),
  role: z.enum(roles),
  label: storable(200).default('').describe('For people.'),
  plan: plan.default(null).describe("Limits; null: the tenant's. Given by an admin of the tenant that runs the installation alone."),
  models: models.default(null).describe('Those it is for; null: all.'),
  sources: sources.default(null).describe('Those it is for, `gate-*` for all that begin so; null: all. What comes by a request, not a stream, is of the source `http`.'),
  expires_in_days: z.number().positive().max(3650).nullable().default(null).describe('Null: it does not expire.'),
}).refine(({ role, models: some, sources: others }) => role !== 'admin' || (some === null && others === null), { error: 'an admin is not limited to models or sources', path: ['role'] });

/** As they are asked about: one that is none is not there. */
export const keyIdSchema = storable(64);
export const tenantAskedSchema = storable(64);

export const keySchema = z.object({
  id: z.string(),
  tenant: z.string(),
  role: z.enum(roles),
  label: z.string(),
  plan: z.string().nullable(),
  models: z.array(z.string()).nullable(),
  sources: z.array(z.string()).nullable(),
  created_at: time,
  created_by: z.string(),
  expires_at: time.nullable(),
  revoked_at: time.nullable(),
  last_used_at: time.nullable().describe('Give or take ten seconds.'),
});
export const madeKeySchema = keySchema.extend({ key: z.string().describe('The key itself, this once: it is kept nowhere.') });
export const keysSchema = z.object({ keys: z.array(keySchema).describe('Newest first.') });

export const newTenantSchema = z.strictObject({ name: tenantName, plan: plan.default(null).describe('Limits of its keys that name none; null: those of the installation.') });
export const tenantSchema = z.object({
  name: z.string(),
  plan: z.string().nullable(),
  created_at: time,
  faces: z.enum(coverings).describe('How faces are covered in its pictures that are shown or kept.'),
  faces_set: z.enum(coverings).nullable().describe('What was given it while running; null: `faces` is as the settings say.'),
});
export const tenantsSchema = z.object({ tenants: z.array(tenantSchema) });

export const facesSchema = z.strictObject({ faces: z.enum(coverings).nullable().describe('null: as the settings say.') });

export const ticketSchema = z.object({ ticket: z.string(), expires_in: z.number().int().describe('Seconds.') });

export const enrolmentSchema = z.object({ secret: z.string().describe('Base32, this once.'), uri: z.string().describe('The same for an authenticator app.') });
export const codeSchema = z.strictObject({ code: z.string().regex(/^\d{6}$/, 'six digits are expected') });
