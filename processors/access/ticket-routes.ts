/** POST /v1/tickets: what a page needs to open a WebSocket, which takes no headers from it. */
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { ticketSchema } from '../../schemas/api/access.ts';
import { problems } from '../edge/openapi/problems.ts';
import { type Tickets, ticketSeconds } from './tickets.ts';

const schema = { tags: ['administration'], summary: 'A ticket: stands for you in `?ticket=` of a GET, for some seconds', response: { 201: ticketSchema, ...problems() } };

export function ticketRoutes(server: FastifyInstance, tickets: Tickets): void {
  const app = server.withTypeProvider<ZodTypeProvider>();
  app.post('/v1/tickets', { schema, config: { needs: 'viewer', scope: 'itself' } }, async (request, reply) =>
    reply.header('cache-control', 'no-store').code(201).send({ ticket: tickets.issue(request.principal), expires_in: ticketSeconds }));
}
