/** Keys and tenants over HTTP: an admin administers its own tenant, one of the home tenant all of them. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { SaccadeError } from '../../connectors/errors.ts';
import type { AccessStore, KeyInfo, Tenant } from '../../connectors/metadata-port.ts';
import type { Clock } from '../../connectors/ports.ts';
import { keyIdSchema, keySchema, keysSchema, madeKeySchema, newKeySchema, newTenantSchema, facesSchema, tenantAskedSchema, tenantSchema, tenantsSchema } from '../../schemas/api/access.ts';
import { problems } from '../edge/openapi/problems.ts';
import type { Faces } from './faces.ts';
import { makeKey } from './key.ts';

export interface AdminOptions {
  readonly access: Pick<AccessStore, 'keys' | 'createKey' | 'revokeKey' | 'tenants' | 'tenant' | 'createTenant'>;
  readonly faces: Faces;
  readonly clock: Clock;
}

const tags = ['administration'];
const dayMs = 86_400_000;

const at = (ms: number): string => new Date(ms).toISOString();
const maybeAt = (ms: number | null): string | null => (ms === null ? null : at(ms));
export const keyOut = (key: KeyInfo): z.output<typeof keySchema> => ({
  id: key.id, tenant: key.tenant, role: key.role, label: key.label, plan: key.plan, models: key.models && [...key.models], sources: key.sources && [...key.sources], created_at: at(key.createdAt), created_by: key.createdBy,
  expires_at: maybeAt(key.expiresAt), revoked_at: maybeAt(key.revokedAt), last_used_at: maybeAt(key.lastUsedAt),
});
/** The tenant whose keys are meant. Throws forbidden. */
function meant({ principal }: FastifyRequest, wanted: string | undefined): string {
  if (wanted === undefined || wanted === principal.tenant) return principal.tenant;
  if (!principal.home) throw new SaccadeError('forbidden', "You administer your own tenant's keys alone.");
  return wanted;
}

/** What is answered here is for nobody's cache. */
const unkept = (reply: FastifyReply): FastifyReply => reply.header('cache-control', 'no-store');

export function adminRoutes(server: FastifyInstance, { access, faces, clock }: AdminOptions): void {
  const tenantOut = ({ name, plan, createdAt }: Tenant): z.output<typeof tenantSchema> => ({ name, plan, created_at: at(createdAt), faces: faces.now(name), faces_set: faces.given(name) });
  const app = server.withTypeProvider<ZodTypeProvider>();

  const list = { tags, summary: 'Keys', querystring: z.object({ tenant: tenantAskedSchema.optional().describe('Whose; `*`: of all tenants.') }), response: { 200: keysSchema, ...problems() } };
  app.get('/v1/admin/keys', { schema: list, config: { needs: 'admin' } }, async (request, reply) => {
    const { tenant } = request.query;
    const whose = tenant === '*' && request.principal.home ? null : meant(request, tenant);
    void unkept(reply);
    return { keys: (await access.keys(whose)).map(keyOut) };
  });

  const create = { tags, summary: 'A new key', body: newKeySchema, response: { 201: madeKeySchema, ...problems('not_found') } };
  app.post('/v1/admin/keys', { schema: create, config: { needs: 'admin' } }, async (request, reply) => {
    const { role, label, plan, models, sources, expires_in_days: days } = request.body;
    if (plan !== null && !request.principal.home) throw new SaccadeError('forbidden', "A plan is given by an admin of the tenant that runs this installation; without one, a key has your tenant's.");
    const { id, secretHash, text } = makeKey();
    const expiresAt = days === null ? null : clock.now() + days * dayMs;
    const key = await access.createKey({ id, secretHash, tenant: meant(request, request.body.tenant), role, label, plan, models, sources, createdBy: request.principal.id, expiresAt });
    request.auditTarget = JSON.stringify({ key: id, tenant: key.tenant, role, plan, models, sources, expires_at: maybeAt(expiresAt) });
    void unkept(reply);
    return reply.code(201).send({ ...keyOut(key), key: text });
  });

  const revoke = { tags, summary: 'Revokes a key, at once', params: z.object({ id: keyIdSchema }), response: { 200: keySchema, ...problems('not_found') } };
  app.delete('/v1/admin/keys/:id', { schema: revoke, config: { needs: 'admin' } }, async (request, reply) => {
    const { home, tenant } = request.principal;
    const key = await access.revokeKey(request.params.id, home ? null : tenant);
    if (!key) throw new SaccadeError('not_found', `There is no key ${request.params.id}.`);
    void unkept(reply);
    return keyOut(key);
  });

  const tenants = { tags, summary: 'Tenants', response: { 200: tenantsSchema, ...problems() } };
  app.get('/v1/admin/tenants', { schema: tenants, config: { needs: 'admin', homeOnly: true } }, async (_request, reply) => {
    void unkept(reply);
    return { tenants: (await access.tenants()).map(tenantOut) };
  });

  const found = { tags, summary: 'A new tenant', body: newTenantSchema, response: { 201: tenantSchema, ...problems('already_exists') } };
  app.post('/v1/admin/tenants', { schema: found, config: { needs: 'admin', homeOnly: true } }, async (request, reply) => {
    const { name, plan } = request.body;
    request.auditTarget = JSON.stringify({ tenant: name, plan });
    return unkept(reply).code(201).send(tenantOut(await access.createTenant(name, plan)));
  });

  const cover = { tags, summary: "How a tenant's faces are covered, from the next picture on that is shown or kept", params: z.object({ name: tenantAskedSchema }), body: facesSchema, response: { 200: tenantSchema, ...problems('not_found') } };
  app.put('/v1/admin/tenants/:name/faces', { schema: cover, config: { needs: 'admin', homeOnly: true } }, async (request, reply) => {
    const [{ name }, { faces: covering }] = [request.params, request.body];
    request.auditTarget = JSON.stringify({ tenant: name, faces: covering });
    const tenant = await access.tenant(name);
    if (!tenant) throw new SaccadeError('not_found', `There is no tenant ${name}: POST /v1/admin/tenants makes one.`);
    await faces.give(name, covering);
    void unkept(reply);
    return tenantOut(tenant);
  });
}
