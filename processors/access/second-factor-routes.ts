/** Enrolling a second factor, and asking for its code wherever an admin changes something. */
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { codeSchema, enrolmentSchema } from '../../schemas/api/access.ts';
import { z } from 'zod';
import { problems } from '../edge/openapi/problems.ts';
import type { SecondFactorCheck } from './second-factor.ts';

const path = '/v1/admin/second-factor';
const tags = ['administration'];

/** After the principals are installed. A key and an issuer's token alike: the factor is the principal's. */
export function demandSecondFactor(app: FastifyInstance, factor: SecondFactorCheck): void {
  app.addHook('preHandler', async ({ principal, method, headers, is404, routeOptions }) => {
    const { needs = 'admin' } = routeOptions.config;
    if (is404 || needs !== 'admin' || method === 'GET' || method === 'HEAD' || principal.kind === 'open') return;
    // Whoever enrols has no code yet; one that was enrolled is not replaced by it.
    if (routeOptions.url?.startsWith(path)) return;
    const code = headers['saccade-otp'];
    await factor.demand(principal.id, typeof code === 'string' ? code : undefined);
  });
}

export function secondFactorRoutes(server: FastifyInstance, factor: SecondFactorCheck): void {
  const app = server.withTypeProvider<ZodTypeProvider>();
  const enrol = { tags, summary: 'Enrols a second factor (TOTP) for what you change; it holds once confirmed', response: { 201: enrolmentSchema, ...problems('already_exists') } };
  app.post(path, { schema: enrol, config: { needs: 'admin' } }, async ({ principal }, reply) =>
    reply.header('cache-control', 'no-store').code(201).send(await factor.enrol(principal.id)));

  const confirm = { tags, summary: 'Confirms it by its first code', body: codeSchema, response: { 204: z.null().describe('From now on what you change needs a code, as the header Saccade-OTP.'), ...problems('not_found', 'second_factor_needed') } };
  app.post(`${path}/confirm`, { schema: confirm, config: { needs: 'admin' } }, async ({ principal, body }, reply) => {
    await factor.confirm(principal.id, body.code);
    return reply.code(204).send(null);
  });
}
