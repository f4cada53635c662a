/** Who may use the edge of this process, how often, and the record of what they did. */
import { randomUUID } from 'node:crypto';
import { join, resolve } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Metadata } from '../../connectors/metadata-port.ts';
import type { RateCounter } from '../../connectors/ports.ts';
import { memoryRates } from '../../connectors/rates/memory.ts';
import { redisRates } from '../../connectors/rates/redis.ts';
import { oidcIssuer } from '../../connectors/oidc/issuer.ts';
import { auditTopic } from '../../schemas/topics.ts';
import { adminRoutes } from '../access/admin-routes.ts';
import { installAudit, recordedLedger } from '../access/audit-hooks.ts';
import { auditTrail } from '../access/audit-trail.ts';
import { authenticator } from '../access/authenticate.ts';
import type { Faces } from '../access/faces.ts';
import { keyCheck } from '../access/key-check.ts';
import { makeKey } from '../access/key.ts';
import { withMetricsToken } from '../access/metrics-token.ts';
import { rates } from '../access/rates.ts';
import { keepVigil } from '../access/vigil.ts';
import { demandSecondFactor, secondFactorRoutes } from '../access/second-factor-routes.ts';
import { secondFactor } from '../access/second-factor.ts';
import { tickets } from '../access/tickets.ts';
import { ticketRoutes } from '../access/ticket-routes.ts';
import { tokenCheck } from '../access/tokens.ts';
import type { Config } from '../config.ts';
import { openMetadataOf } from '../connect.ts';
import { type Ledger, noLedger } from '../edge/ledger.ts';
import { type Authenticate, noVigil, openMode, type Vigil } from '../edge/principal.ts';
import { SaccadeError } from '../../connectors/errors.ts';
import type { TlsFiles } from '../edge/tls.ts';
import { systemClock } from '../runtime/clock.ts';
import { patiently } from '../runtime/patience.ts';
import type { Shutdown } from '../runtime/shutdown.ts';
import type { Settings } from '../settings.ts';
import type { End, Foundation } from './foundation.ts';

export interface Access {
  readonly authenticate: Authenticate;
  readonly vigil: Vigil;
  /** The same limits and record for what is done inside of a request or over a socket. */
  readonly ledger: Ledger;
  /** What watches over every request, once it is known who asks. */
  guard(app: FastifyInstance): void;
  /** The certificate of every door; undefined: none. */
  readonly tls: TlsFiles | undefined;
  /** The routes by which it is administered. */
  routes(app: FastifyInstance): void;
  /** For the terminal: how it is, and the first key, once. */
  announce(): void;
}

/** Begins to open the metadata where they are needed: the embedded database takes seconds, which pass beside the rest. Null: nobody needs them. */
export function beginMetadata(config: Config, { ending, end, logger, say }: { readonly ending: Shutdown; readonly end: End; readonly logger: Logger; say(line: string): void }): Promise<Metadata> | null {
  const s = config.settings;
  if (s.SACCADE_AUTH === 'open' || !s.SACCADE_STAGES.includes('edge')) return null;
  const open = () => openMetadataOf(s, join(resolve(s.SACCADE_DATA), 'postgres'), 'pipeline');
  // A server may come up after the edge; an embedded one that fails does not come by waiting.
  const opening = s.DATABASE_URL ? patiently(open, { clock: systemClock, say }) : open();
  ending.add('metadata', async () => (await opening.catch(() => null))?.close());
  // Awaited later; until then a failure must not count as unhandled.
  opening.then(
    ({ died }) => void died.then((error) => end(error.message, 1)),
    (error: Error) => logger.warn({ error: error.message }, 'the metadata cannot be opened'),
  );
  return opening;
}

type Base = Pick<Foundation, 'settings' | 'clock' | 'logger' | 'producer' | 'ending' | 'say'> & { readonly faces: Faces };

export async function openAccess(base: Base, opening: Promise<Metadata> | null): Promise<Access> {
  const { settings: s, logger, ending } = base;
  const log = logger.child({ component: 'access' });
  const open = s.SACCADE_AUTH === 'open';
  const counter = s.REDIS_URL && (opening || s.SACCADE_PLAN) ? redisRatesOf(s, s.REDIS_URL, log) : memoryRates();
  ending.add('rates', () => counter.close());
  const limits = rates({ counter, defaultPlan: s.SACCADE_PLAN ?? (open ? 'unlimited' : 'demo') });
  const { SACCADE_TLS_CERT: cert, SACCADE_TLS_KEY: key } = s;
  const tls = cert && key ? { cert, key } : undefined;
  const ledger: Ledger = { ...noLedger, count: limits.count, tap: limits.tap };
  const nothing = { tls, vigil: noVigil, ledger, guard: limits.install, routes() {}, announce() {} };
  if (open) return { ...nothing, authenticate: openMode(s.SACCADE_TENANT) };
  if (!opening) return { ...nothing, authenticate: withMetricsToken(noKeysHere, s.SACCADE_METRICS_TOKEN, s.SACCADE_TENANT) };
  return { tls, ...(await closedMode(base, await opening, limits, counter)) };
}

const redisRatesOf = ({ REDIS_USERNAME: username, REDIS_PASSWORD: password }: Settings, url: string, log: Logger): RateCounter =>
  redisRates({ url, ...(username ? { username } : {}), ...(password ? { password } : {}), log });

/** A process without an edge has health and metrics alone. */
const noKeysHere: Authenticate = async () => {
  throw new SaccadeError('unauthenticated', 'This process takes the token of SACCADE_METRICS_TOKEN alone.');
};

async function closedMode(base: Base, metadata: Metadata, limits: ReturnType<typeof rates>, counter: RateCounter): Promise<Omit<Access, 'tls'>> {
  const { settings: s, clock, logger, producer, ending, say } = base;
  const { access, audit } = metadata;
  const home = s.SACCADE_TENANT;
  await patiently(() => access.ensureTenant(home), { clock, say });
  const { plain } = await patiently(() => access.sealSecrets(), { clock, say });
  if (plain > 0) logger.warn({ plain }, 'second factors lie in the database as they are: set SACCADE_SEALING_KEY');
  const keys = await keyCheck({ access, clock });
  ending.add('keys', () => keys.close());
  const vigil = keepVigil({ access, clock, log: logger.child({ component: 'access' }) });
  ending.add('vigil', () => vigil.close());
  const slips = tickets(await access.sharedSecret('tickets'), clock);
  const trail = auditTrail({
    store: audit,
    clock,
    publisher: randomUUID(),
    send: (entries) => producer.send(entries.map(({ number, entry, hash }) => ({ topic: auditTopic, partition: 0, key: `${number}`, value: Buffer.from(entry), headers: { hash: hash.toString('hex') } }))),
    keepMs: s.SACCADE_KEEP_AUDIT_DAYS * 86_400_000,
    tenant: home,
    log: logger.child({ component: 'audit' }),
  });
  ending.add('audit trail', () => trail.close());
  const authenticate = authenticator({ keys, tickets: slips, tokens: tokensOf(s, base, metadata), home, admit: limits.admit, refused: limits.refused });
  const factor = secondFactor({ access, counter, clock, rule: s.SACCADE_SECOND_FACTOR });
  const first = await firstKey(metadata, home);
  return {
    authenticate: withMetricsToken(authenticate, s.SACCADE_METRICS_TOKEN, home),
    vigil: vigil.watch,
    ledger: recordedLedger(limits, trail, clock),
    guard(app) {
      installAudit(app, { trail, clock });
      limits.install(app);
      demandSecondFactor(app, factor);
    },
    routes(app) {
      ticketRoutes(app, slips);
      adminRoutes(app, { access, faces: base.faces, clock });
      secondFactorRoutes(app, factor);
    },
    announce() {
      say(`access      keys${s.SACCADE_OIDC_ISSUER ? ` and tokens of ${s.SACCADE_OIDC_ISSUER}` : ''}; limits of the plan ${s.SACCADE_PLAN ?? 'demo'} unless a key or tenant names another`);
      if (first) say(`admin key   ${first}\n            It is shown this once: keep it. More: npm run saccade -- keys create --role operator`);
    },
  };
}

function tokensOf(s: Settings, { clock }: Base, { access }: Metadata) {
  const { SACCADE_OIDC_ISSUER: issuer, SACCADE_OIDC_AUDIENCE: audience } = s;
  if (!issuer || !audience) return null;
  return tokenCheck({
    issuer: oidcIssuer({ issuer, audience, algorithms: s.SACCADE_OIDC_ALGORITHMS, clockSkewS: s.SACCADE_OIDC_CLOCK_SKEW_S, clock }),
    access,
    clock,
    clockSkewS: s.SACCADE_OIDC_CLOCK_SKEW_S,
    tenantClaim: s.SACCADE_OIDC_TENANT_CLAIM,
    roleClaim: s.SACCADE_OIDC_ROLE_CLAIM,
    home: s.SACCADE_TENANT,
  });
}

/** Of two edges that start on one new database, one makes it. Null: there is a key already. */
async function firstKey({ access }: Metadata, home: string): Promise<string | null> {
  const { id, secretHash, text } = makeKey();
  const made = await access.createFirstKey({ id, secretHash, tenant: home, role: 'admin', label: 'first', plan: 'unlimited', models: null, sources: null, createdBy: 'first start', expiresAt: null });
  return made ? text : null;
}
