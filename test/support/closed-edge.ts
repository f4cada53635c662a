/** An edge that asks who asks: its keys and its audit trail in a real database, its pipeline on the in-process log. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import type { FastifyInstance, RouteOptions } from 'fastify';
import type { Metadata } from '../../connectors/metadata-port.ts';
import { openMetadata } from '../../connectors/postgres/metadata.ts';
import { startPostgres } from '../../deploy/local/postgres.ts';
import { makeKey } from '../../processors/access/key.ts';
import { type Access, openAccess } from '../../processors/assembly/access.ts';
import { readConfig } from '../../processors/config.ts';
import { sqlDoor } from '../../processors/assembly/sql-door.ts';
import { sqlRoutes } from '../../processors/edge/sql-routes.ts';
import type { Ask } from '../../processors/sql/ask.ts';
import type { Role } from '../../processors/edge/principal.ts';
import { coveringFor } from '../../processors/mask/policy.ts';
import { maskPolicyOf } from '../../processors/masking.ts';
import { followPolicies } from '../../processors/policies-topic.ts';
import { systemClock } from '../../processors/runtime/clock.ts';
import { shutdown } from '../../processors/runtime/shutdown.ts';
import { type EdgeUnderTest, startEdgeUnderTest } from './edge.ts';
import { needsPostgres, startTestPostgres } from './postgres.ts';

/** Of every edge here. */
export const sealingKey = Buffer.alloc(32, 'a key of the tests');

export interface TestDatabase {
  readonly url: string;
  stop(): Promise<void>;
}

/** PostgreSQL where it is installed, since it starts in a second; else the embedded one. */
export async function anyDatabase(): Promise<TestDatabase> {
  return needsPostgres === false ? startTestPostgres() : embeddedDatabase();
}

/** The one of an installation that names no DATABASE_URL. */
export async function embeddedDatabase(): Promise<TestDatabase> {
  const folder = mkdtempSync(join(tmpdir(), 'saccade-pglite-'));
  const local = await startPostgres(folder, 'pipeline');
  return {
    url: local.url,
    async stop() {
      await local.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface ClosedEdge extends EdgeUnderTest {
  readonly metadata: Metadata;
  /** Every route there is. */
  readonly routes: readonly RouteOptions[];
  /** ClickHouse's interface as it goes with the edge, not listening yet, and its routes; null without `ask`. */
  readonly door: FastifyInstance | null;
  readonly doorRoutes: readonly RouteOptions[];
  /** What the start said, the first key with it. */
  readonly said: readonly string[];
  /** A new key, as a client sends it. */
  key(tenant: string, role: Role, over?: { readonly plan?: string; readonly expiresAt?: number; readonly label?: string; readonly models?: readonly string[]; readonly sources?: readonly string[] }): Promise<string>;
}

/** `env` on top of SACCADE_AUTH=required. The tenant that runs it is `home`. */
export async function startClosedEdge(database: Pick<TestDatabase, 'url'>, { env = {}, ask = null, ...options }: Parameters<typeof startEdgeUnderTest>[0] & { readonly env?: Record<string, string>; readonly ask?: Ask | null } = {}): Promise<ClosedEdge> {
  const metadata = await openMetadata(database.url, [sealingKey]);
  const { settings } = readConfig([], { SACCADE_AUTH: 'required', SACCADE_TENANT: 'home', SACCADE_PLAN: 'unlimited', ...env }, '/nonexistent');
  const logger = pino({ level: 'silent' });
  const ending = shutdown(systemClock, () => logger, 10_000);
  const routes: RouteOptions[] = [];
  const doorRoutes: RouteOptions[] = [];
  let door: FastifyInstance | null = null;
  const said: string[] = [];
  const edge = await startEdgeUnderTest({
    async access({ log, producer }) {
      const policies = await followPolicies({ log, producer, clock: systemClock, settings: maskPolicyOf(settings), say: (line) => void said.push(line) });
      ending.add('policies', () => policies.close());
      const faces = { now: (tenant: string) => coveringFor(policies.mask(), tenant), given: policies.given, give: policies.give };
      const base = { settings, clock: systemClock, logger, ending, say: (line: string) => void said.push(line), producer: producer as never, faces };
      const access: Access = await openAccess(base, Promise.resolve(metadata));
      access.announce();
      if (ask) {
        const guard = (app: FastifyInstance): void => {
          app.addHook('onRoute', (route) => void doorRoutes.push(route));
          access.guard(app);
        };
        door = sqlDoor({ ask, shown: 'saccade', authenticate: access.authenticate, guard });
      }
      return {
        ...access,
        guard(app: FastifyInstance) {
          app.addHook('onRoute', (route) => void routes.push(route));
          access.guard(app);
        },
        routes(app: FastifyInstance) {
          access.routes(app);
          sqlRoutes(app, { ask });
        },
      };
    },
    live: true,
    ...options,
  });
  return {
    ...edge,
    metadata,
    routes,
    door,
    doorRoutes,
    said,
    async key(tenant, role, over = {}) {
      await metadata.access.ensureTenant(tenant);
      const { id, secretHash, text } = makeKey();
      await metadata.access.createKey({ id, secretHash, tenant, role, label: over.label ?? '', plan: over.plan ?? null, models: over.models ?? null, sources: over.sources ?? null, createdBy: 'test', expiresAt: over.expiresAt ?? null });
      return text;
    },
    async close() {
      await edge.edge.close();
      await ending.run();
      await edge.close();
      await metadata.close();
    },
  };
}

export const bearer = (key: string): { authorization: string } => ({ authorization: `Bearer ${key}` });
