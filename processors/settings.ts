/** Every setting, once: name, flag, meaning, check and default. --help, .env.example's test and config.ts all read this table. */
import { z } from 'zod';
import { isTrustworthy } from '../schemas/trustworthy-url.ts';
import { edgeConfig } from './edge/config.ts';
import { ingestConfig } from './ingest/config.ts';
import { maskConfig } from './mask/config.ts';
import { mostPixels, preprocessConfig } from './preprocess/config.ts';
import { keptClasses, type KeptClass, mostDays } from './sink/config.ts';
import { sqlLimits } from './sql/config.ts';
import { planNames } from '../schemas/plans.ts';
import { type Covering, coverings } from '../schemas/policies.ts';
import { tenantPattern } from '../schemas/roles.ts';
import { tenantTopicPattern } from '../schemas/topics.ts';
import { stageFamilies } from './topology.ts';

const text = z.string().trim().min(1);
const whole = (min: number, max: number) =>
  z.string().regex(/^\d+$/, 'a whole number is expected').transform(Number).pipe(z.number().min(min).max(max));
/** Commas between items; a repeated flag comes one item a line, since a path may hold a comma. */
const list = z.string().transform((value) => value.split(value.includes('\n') ? '\n' : ',').map((item) => item.trim()).filter((item) => item !== ''));
const oneOf = <const T extends readonly [string, ...string[]]>(values: T) => z.enum(values);
const yesNo = z.enum(['true', 'false']).transform((value) => value === 'true');
/** Of a server with a login, which has settings of its own: a URL is printed, logged and written to run.json. */
const urlBeside = (user: string, password: string, protocol = /^https?$/, error = 'an http:// or https:// URL is expected') =>
  z.url({ protocol, error }).refine((value) => !hasLogin(value), {
    error: `the login belongs into ${user} and ${password}, not into the URL`,
  });
/** The client would take options from the query. */
const redisUrl = urlBeside('REDIS_USERNAME', 'REDIS_PASSWORD', /^rediss?$/, 'redis://host:port or rediss://host:port is expected').refine(
  (value) => !URL.canParse(value) || /^[^?#]*$/.test(value) && /^(\/\d*)?$/.test(new URL(value).pathname),
  { error: 'nothing but the number of a database may follow the port' },
);
function hasLogin(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { username, password, searchParams } = new URL(value);
  return username !== '' || password !== '' || searchParams.has('password');
}
/** A login in it would be printed with the setting. */
const webhookUrl = z.url({ protocol: /^https?$/, error: 'an http:// or https:// URL is expected' }).refine((value) => !hasLogin(value), { error: 'a login does not belong into the URL; the receiver knows us by SACCADE_ALERT_WEBHOOK_SECRET' });
/** Its login may be part of it, as every PostgreSQL client takes it; it is never shown. */
const postgresUrl = z.string().refine((value) => URL.canParse(value) && /^postgres(ql)?:$/.test(new URL(value).protocol) && new URL(value).hostname !== '', {
  error: 'postgres://user:password@host:port/database is expected',
});
const origin = z.string().refine((value) => URL.canParse(value) && new URL(value).origin === value, { error: 'origins such as https://app.example are expected' });
/** Those by which an issuer signs and anybody can check: a shared secret would be known to whoever checks. */
const signatures = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const;
const days = whole(0, mostDays);
/** How long what of a tenant is kept: TENANT=DAYS, or TENANT:CLASS=DAYS. */
const keptByTenant = list
  .pipe(z.array(z.string().regex(new RegExp(`^[A-Za-z0-9_.-]{1,64}(:(${keptClasses.join('|')}))?=\\d{1,5}$`), `TENANT=DAYS is expected, or TENANT:CLASS=DAYS with a class of ${keptClasses.join(', ')}`)))
  .transform((items) => items.map((item) => {
    const [of, count] = item.split('=') as [string, string];
    const [tenant, kind = null] = of.split(':') as [string, KeptClass?];
    return { tenant, kind, days: Number(count) };
  }))
  .refine((items) => items.every(({ days: each }) => each <= mostDays), { error: `${mostDays} days at most` })
  .refine((items) => new Set(items.map(({ tenant, kind }) => `${tenant}:${kind}`)).size === items.length, { error: 'a tenant, or a class of it, is named twice' });
/** NAME=VALUE with commas, each name once. */
const byTenant = list
  .pipe(z.array(z.string().regex(/^[A-Za-z0-9_.-]{1,64}=(off|blur|pixelate)$/, 'TENANT=off, TENANT=blur or TENANT=pixelate is expected')))
  .transform((items) => items.map((item) => item.split('=') as [string, Covering]))
  .refine((items) => new Set(items.map(([tenant]) => tenant)).size === items.length, { error: 'a tenant is named twice' })
  .transform((items): ReadonlyMap<string, Covering> => new Map(items));
/** TOPIC=TENANT with commas, each topic once. */
const tenantTopics = list
  .transform((items) => items.map((item) => item.split('=') as [string, string]))
  .refine((items) => items.every(([topic, tenant, ...more]) => tenantTopicPattern.test(topic) && tenantPattern.test(tenant ?? '') && more.length === 0), { error: 'frames.in.NAME=TENANT is expected, and NAME is not dlq' })
  .refine((items) => new Set(items.map(([topic]) => topic)).size === items.length, { error: 'a topic is named twice' })
  .transform((items): ReadonlyMap<string, string> => new Map(items));
const broker = z.string().regex(/^[^\s:,]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/, 'host:port is expected');
const fusePair = z
  .string()
  .regex(/^[a-z]+\+[a-z]+$/, 'pairs such as preprocess+infer are expected')
  .transform((pair) => pair.split('+') as [string, string])
  .refine(([first, second]) => ['ingest+preprocess', 'preprocess+infer', 'infer+sink'].includes(`${first}+${second}`), {
    error: 'only neighbours can be fused: ingest+preprocess, preprocess+infer, infer+sink',
  });

interface Setting {
  readonly check: z.ZodType;
  readonly help: string;
  readonly flag?: string;
  /** May be given several times on the command line; in the environment, with commas. */
  readonly repeatable?: boolean;
  /** As it would be written; none means unset. */
  readonly default?: string;
}

const ingest = ingestConfig.parse({});
const edge = edgeConfig.parse({});
const preprocess = preprocessConfig.parse({});
const sql = sqlLimits.parse({});
const mask = maskConfig.parse({});

export const settings = {
  PORT: { check: whole(0, 65535), default: '8080', flag: 'port', help: 'Port of the page and the API; 0 for any free one.' },
  HOST: { check: text, default: '127.0.0.1', help: 'Address the edge listens on. Anything but loopback needs SACCADE_AUTH=required.' },
  SACCADE_AUTH: { check: oneOf(['open', 'required']), default: 'open', help: 'open: whoever reaches the edge is its admin, which is why it listens on loopback alone; required: every request shows a key or a token.' },
  DATABASE_URL: { check: postgresUrl, help: 'Your PostgreSQL, for tenants, keys and the audit trail: postgres://user:password@host/database. Unset: one embedded in <data>/postgres.' },
  SACCADE_TLS_CERT: { check: text, help: "The edge's certificate and its chain, PEM; with SACCADE_TLS_KEY the edge speaks HTTPS. Read again when the file changes." },
  SACCADE_TLS_KEY: { check: text, help: 'The private key of SACCADE_TLS_CERT, PEM.' },
  SACCADE_CORS: { check: list.pipe(z.array(origin)), default: '', help: 'Origins whose pages may call the edge and open its WebSockets, with commas; none: its own page alone.' },
  SACCADE_TRUSTED_PROXIES: { check: list, default: '', help: 'Addresses or networks of proxies in front, whose X-Forwarded-For is believed.' },
  SACCADE_MAX_CONNECTIONS: { check: whole(1, 1_000_000), default: '4096', help: 'Connections open at once; more are cut.' },
  SACCADE_PLAN: { check: oneOf(planNames), help: 'Limits of principals whose key and tenant name no plan (schemas/plans.json). Unset: demo, or unlimited where SACCADE_AUTH is open.' },
  SACCADE_METRICS_TOKEN: { check: z.string().min(16, 'at least 16 characters are expected'), help: 'A bearer token for GET /metrics where SACCADE_AUTH is required; a viewer of SACCADE_TENANT may read it too.' },
  SACCADE_SECOND_FACTOR: { check: oneOf(['off', 'enrolled', 'required']), default: 'enrolled', help: 'Whether what an admin changes over HTTP needs a code (TOTP): of those who have enrolled, or of all.' },
  SACCADE_SEALING_KEY: { check: list.pipe(z.array(z.string().regex(/^[A-Za-z0-9+/]{43}=$/, '32 bytes in base64 are expected, as openssl rand -base64 32 prints them')).min(1)), help: 'What second factors are sealed with in the database: 32 bytes in base64; after a comma, older ones that still open. Unset: the file below, else <data>/sealing.key, made at the first start, where DATABASE_URL is unset too.' },
  SACCADE_SEALING_KEY_FILE: { check: text, help: 'A file with the same, a key a line.' },
  SACCADE_OIDC_ISSUER: { check: z.string().refine(isTrustworthy, { error: 'an https:// URL is expected, or http:// on this machine' }), help: 'Issuer of tokens (OpenID Connect) that are taken besides keys; with SACCADE_OIDC_AUDIENCE.' },
  SACCADE_OIDC_AUDIENCE: { check: text, help: 'What the tokens must be meant for.' },
  SACCADE_OIDC_ALGORITHMS: { check: list.pipe(z.array(oneOf(signatures)).min(1)), default: 'RS256,ES256,EdDSA', help: 'Signatures that are taken.' },
  SACCADE_OIDC_CLOCK_SKEW_S: { check: whole(0, 600), default: '30', help: "Seconds by which the issuer's clock may differ." },
  SACCADE_OIDC_TENANT_CLAIM: { check: text, default: 'tenant', help: 'Claim that names the tenant, which must exist.' },
  SACCADE_OIDC_ROLE_CLAIM: { check: text, default: 'role', help: 'Claim that names the role, or lists several, of which the highest counts.' },
  SACCADE_DATA: { check: text, default: '.saccade', flag: 'data', help: 'Folder of all local state.' },
  SACCADE_STAGES: { check: list.pipe(z.array(oneOf(stageFamilies)).min(1)), default: stageFamilies.join(','), flag: 'stages', help: `Stages this process runs: ${stageFamilies.join(', ')}.` },
  SACCADE_SOURCE: { check: list, default: 'demo', flag: 'source', repeatable: true, help: 'Cameras: demo, none, a video file, rtsp://…, a folder or a glob of images; name=… in front names the source.' },
  SACCADE_FUSE: { check: list.transform((pairs) => pairs.filter((pair) => pair !== 'none')).pipe(z.array(fusePair)), flag: 'fuse', repeatable: true, help: 'Neighbours run as one step, skipping the topic between them; none: no such. Unset: preprocess+infer where this process runs both.' },
  SACCADE_FPS: { check: whole(1, 240), default: '10', flag: 'fps', help: 'Frames a second of demo, folder and glob sources.' },
  SACCADE_LOOP: { check: yesNo, default: 'false', flag: 'loop', help: 'true: videos, folders and globs begin again at their end.' },
  SACCADE_LIVE_DEADLINE_MS: { check: whole(0, 3_600_000), default: '5000', help: 'Frames of demo and rtsp sources older than this are recorded as dropped instead of inferred; 0: never.' },
  SACCADE_MODELS: { check: list.pipe(z.array(text).min(1)), default: 'efficientnet-lite0,nanodet', flag: 'models', help: 'Models served, as NAME or NAME@VERSION; the first answers where none is asked for.' },
  SACCADE_MODELS_DIR: { check: text, default: 'models', help: 'The model repository: NAME/VERSION/model.onnx with card.json.' },
  SACCADE_TENANT: { check: z.string().regex(tenantPattern, 'letters, digits, _ . - are expected'), default: 'default', help: 'Tenant that owns what comes in by frames.in, and that runs the installation: its admins administer all tenants.' },
  SACCADE_TENANT_TOPICS: { check: tenantTopics, default: '', help: 'Further topics in, each of one tenant: frames.in.NAME=TENANT, with commas. The same for every process.' },
  KAFKA_BROKERS: { check: list.pipe(z.array(broker).min(1)), help: 'Your Kafka, host:port with commas. Unset: a local one is started.' },
  KAFKA_SSL: { check: yesNo, default: 'false', help: 'TLS to the brokers.' },
  KAFKA_SASL_MECHANISM: { check: oneOf(['plain', 'scram-sha-256', 'scram-sha-512']), help: 'SASL mechanism; with KAFKA_USERNAME and KAFKA_PASSWORD.' },
  KAFKA_USERNAME: { check: text, help: 'SASL user.' },
  KAFKA_PASSWORD: { check: text, help: 'SASL password.' },
  SCHEMA_REGISTRY_URL: { check: urlBeside('SCHEMA_REGISTRY_USERNAME', 'SCHEMA_REGISTRY_PASSWORD'), help: 'Your schema registry (Confluent API). Unset: a local one beside the local Kafka.' },
  SCHEMA_REGISTRY_USERNAME: { check: text, help: 'Registry user.' },
  SCHEMA_REGISTRY_PASSWORD: { check: text, help: 'Registry password.' },
  CLICKHOUSE_URL: { check: urlBeside('CLICKHOUSE_USER', 'CLICKHOUSE_PASSWORD'), help: 'Your ClickHouse over HTTP. Unset: ClickHouse embedded (chdb).' },
  CLICKHOUSE_USER: { check: text, default: 'default', help: 'ClickHouse user.' },
  CLICKHOUSE_PASSWORD: { check: z.string(), default: '', help: 'ClickHouse password.' },
  CLICKHOUSE_DATABASE: { check: z.string().regex(/^\w+$/, 'letters, digits and _ are expected'), default: 'saccade', help: 'Database of the tables.' },
  CLICKHOUSE_CLUSTER: { check: z.string().regex(/^[\w-]+$/, 'letters, digits, _ and - are expected'), help: 'Cluster of CLICKHOUSE_URL that tables which are created are replicated and distributed over. Unset: one server.' },
  CLICKHOUSE_SQL_USER: { check: text, help: "The user of CLICKHOUSE_URL that people's SQL runs as: npm run sql -- --grants prints how to make it. Unset: CLICKHOUSE_USER." },
  CLICKHOUSE_SQL_PASSWORD: { check: z.string(), default: '', help: 'Its password.' },
  SACCADE_SQL_PORT: { check: whole(0, 65535), help: "Port of ClickHouse's own HTTP interface for people's clients, beside the edge: read-only, each tenant for itself; 0 for any free one. Unset: none." },
  SACCADE_SQL_SECONDS: { check: whole(1, 3600), default: String(sql.seconds), help: "Seconds one query of people's may take." },
  SACCADE_SQL_MEMORY_MB: { check: whole(16, 1_048_576), default: String(sql.memoryBytes / 1024 / 1024), help: 'Megabytes of memory it may take.' },
  SACCADE_SQL_ROWS: { check: whole(1, 1_000_000_000), default: String(sql.rows), help: 'Rows its answer may have.' },
  SACCADE_SQL_RESULT_MB: { check: whole(1, 1_048_576), default: String(sql.resultBytes / 1024 / 1024), help: 'Megabytes of its answer; what all tenants have not read yet may be four times as much.' },
  SACCADE_SQL_AT_ONCE: { check: whole(1, 64), default: String(sql.atOnce), help: 'Such queries that run at once; others wait.' },
  SACCADE_CACHE: { check: oneOf(['off', 'stills', 'all']), default: 'stills', help: 'Whose answers are given again to identical pictures: stills (all but frames with a deadline that nobody waits for, which are live ones), all, or off: none.' },
  SACCADE_CACHE_EXCEPT: { check: list, default: '', help: 'Sources whose pictures are neither looked up in the cache nor kept there.' },
  SACCADE_CACHE_TTL_S: { check: whole(1, 30 * 86_400), default: '3600', help: 'Seconds an answer is kept in the cache.' },
  SACCADE_CACHE_MB: { check: whole(1, 65536), default: '64', help: 'Megabytes of the cache in the process, where there is no Redis and both preprocess and infer run in it.' },
  SACCADE_IDEMPOTENCY_HOURS: { check: whole(1, 720), default: String(edge.keysMs / 3_600_000), help: 'Hours for which an Idempotency-Key is remembered.' },
  REDIS_URL: { check: redisUrl, help: 'Your Redis, for a cache that all processes share, and for edges to share counts of requests and Idempotency-Keys: redis://host:port, rediss:// for TLS. Unset: a cache in the process.' },
  REDIS_USERNAME: { check: text, help: 'Redis user.' },
  REDIS_PASSWORD: { check: text, help: 'Redis password.' },
  SACCADE_KEEP_DAYS: { check: days, default: '0', help: 'Days the store keeps predictions, boxes and outcomes; 0: for ever.' },
  SACCADE_KEEP_EMBEDDINGS_DAYS: { check: days, default: '0', help: 'Days the store keeps embeddings, the largest part of a row; 0: as long as the row.' },
  SACCADE_KEEP_ROLLUPS_DAYS: { check: days, default: '0', help: 'Days the store keeps counts by minute and hour; 0: for ever.' },
  SACCADE_KEEP_DRIFT_DAYS: { check: days, default: '0', help: 'Days the store keeps windows of drift, and alerts once they are resolved; 0: for ever.' },
  SACCADE_KEEP_TENANTS: { check: keptByTenant, default: '', help: 'Tenants whose data is kept otherwise: TENANT=DAYS, or TENANT:CLASS=DAYS for one class (rows, embeddings, rollups, drift, frames), with commas.' },
  SACCADE_KEEP_AUDIT_DAYS: { check: days, default: '0', help: 'Days the table of the audit trail keeps its entries; 0: for ever.' },
  SACCADE_KEEP_FRAMES_DAYS: { check: days, default: '7', help: 'Days that pictures are kept to look at: samples, unsure ones, examples of drift; 0: for as long as there is room.' },
  SACCADE_KEEP_FRAMES_MB: { check: whole(0, 100_000_000), default: '1024', help: 'Megabytes of them, of all tenants together; beyond, the oldest go of tenants that keep more than a fair share. 0: none are kept.' },
  SACCADE_KEEP_FRAMES_EVERY_S: { check: whole(1, 86_400), default: '300', help: 'Seconds of which one frame of each source is kept, and the least sure one of each model.' },
  SACCADE_KEEP_FRAMES_DIR: { check: text, help: 'Folder of kept pictures, shared by all processes that run keep or the edge. Unset: <data>/kept.' },
  SACCADE_MASK_FACES: { check: oneOf(coverings), default: 'off', help: 'How faces are covered in every picture that is shown or kept: blur, pixelate, or off: not at all.' },
  SACCADE_MASK_TENANTS: { check: byTenant, default: '', help: 'Tenants that want it otherwise: TENANT=off, TENANT=blur or TENANT=pixelate, with commas.' },
  SACCADE_MASK_MODEL: { check: text, default: 'ultraface', help: 'Model that finds those faces, as NAME or NAME@VERSION.' },
  SACCADE_MASK_SCORE: { check: whole(1, 99), default: String(mask.score * 100), help: 'Percent of certainty from which something is covered as a face; lower covers more.' },
  SACCADE_MASK_RAW_HOURS: { check: whole(1, 720), default: '24', help: 'Hours, at most, that topics, dead letters and claim-checked images keep pictures as they came, where faces are covered.' },
  SACCADE_ALERT_WEBHOOK_URL: { check: webhookUrl, help: 'Where alerts are posted to when they open and resolve, as JSON. Unset: nowhere.' },
  SACCADE_ALERT_WEBHOOK_SECRET: { check: text, help: 'Signs them: header saccade-signature, t=SECONDS,v1=HMAC-SHA256 of SECONDS.BODY in hex.' },
  SACCADE_PARTITIONS: { check: whole(1, 1024), default: '8', help: 'Partitions of topics that are created.' },
  SACCADE_REPLICATION: { check: whole(1, 9), default: '1', help: 'Replication factor of topics that are created; 3 in production, with 2 in sync.' },
  SACCADE_MAX_IMAGE_BYTES: { check: whole(1024, 256 * 1024 * 1024), default: String(ingest.maxImageBytes), help: 'Largest encoded image accepted.' },
  SACCADE_CLAIM_CHECK_BYTES: { check: whole(1024, 6 * 1024 * 1024), default: String(ingest.claimCheckBytes), help: 'Images above this travel beside the log, by claim check.' },
  SACCADE_QUOTA_FPS: { check: whole(0, 1_000_000), default: String(ingest.quotaFps), help: 'Frames a second of one source that go in at once; a source above it goes through frames.overflow, at lower priority. 0: no quota.' },
  SACCADE_QUOTA_BURST: { check: whole(1, 1_000_000), default: String(ingest.quotaBurst), help: 'Frames a source may send at once without being above SACCADE_QUOTA_FPS.' },
  SACCADE_BLOBS_DIR: { check: text, help: 'Folder of claim-checked images, shared by all processes that run ingest, preprocess or the edge. Unset: <data>/blobs.' },
  SACCADE_MAX_PIXELS: { check: whole(1, mostPixels), default: String(preprocess.maxPixels), help: 'Largest image in pixels, refused before decoding.' },
  SACCADE_REQUEST_TIMEOUT_MS: { check: whole(100, 300_000), default: String(edge.requestTimeoutMs), help: 'How long POST /v1/infer waits before 504.' },
  SACCADE_ANSWER_TARGET_MS: { check: whole(1, 300_000), default: String(edge.targetMs), help: 'Milliseconds in which the pipeline is to answer a request: while all take longer (four times as long with 192 or fewer at once), fewer are let in at once and the others are refused with 503.' },
  SACCADE_EDGE_WAITING: { check: whole(1, 100_000), default: String(edge.maxWaiting), help: 'Requests with pictures that are read or wait for their answers at once; more are refused with 503.' },
  SACCADE_EDGE_AWAITED: { check: whole(1, 1_000_000), default: String(edge.maxAwaited), help: 'Pictures that wait for their answers at once, over all requests; more are refused with 503.' },
  SACCADE_EDGE_UPLOAD_MB: { check: whole(1, 65536), default: String(edge.maxUploadBytes / 1024 / 1024), help: 'Megabytes of their bodies in memory at once; more are refused with 503 before they are read.' },
  SACCADE_EDGE_BATCH_MB: { check: whole(1, 4096), default: String(edge.maxBatchBytes / 1024 / 1024), help: 'Megabytes of one request with several pictures.' },
  SACCADE_EDGE_SOCKETS: { check: whole(1, 100_000), default: String(edge.stream.maxSockets), help: 'Sockets of /v1/stream open at once; more are refused with 503.' },
  SACCADE_EDGE_SOCKETS_EACH: { check: whole(1, 100_000), default: String(edge.stream.maxSocketsEach), help: 'Of those, of one key or person; more are refused with 429.' },
  SACCADE_EDGE_FRAME_KB: { check: whole(1, 65536), default: String(edge.stream.frameBytes / 1024), help: 'Kilobytes of one frame of a stream, where SACCADE_MAX_IMAGE_BYTES is not less, and of one message to /graphql, which may have 1024 in any case; a larger one closes its socket.' },
  SACCADE_EDGE_FRAMES_MB: { check: whole(1, 65536), default: String(edge.stream.totalBytes / 1024 / 1024), help: 'Megabytes of their frames in hand, over all streams.' },
  SACCADE_IN_FLIGHT_MB: { check: whole(1, 65536), default: '64', help: 'Megabytes each stage holds before it pauses fetching.' },
  SACCADE_FALLBACK: { check: list.pipe(z.array(z.string().regex(/^[a-z0-9][a-z0-9-]*@\d+$/, 'NAME@VERSION is expected'))), help: 'Versions that answer when the one that should cannot be loaded or ends its worker, NAME@VERSION; else those the cards name.' },
  SACCADE_DEAD_LETTER_LIMIT: { check: whole(0, 99), default: '50', help: 'Percent of the records, and of the shares of their sources, above which dead letters halt a stage, bad pictures not counted; 0: never.' },
  SACCADE_DEAD_LETTER_WINDOW_S: { check: whole(1, 3600), default: '60', help: 'Seconds over which dead letters are counted for that.' },
  SACCADE_DEAD_LETTER_LEAST: { check: whole(1, 1_000_000), default: '100', help: 'Records within that window below which no stage is halted.' },
  SACCADE_STUCK_AFTER_S: { check: whole(0, 3600), default: '120', help: 'Seconds without progress, with work and without a known reason, after which /health fails; 0: never.' },
  SACCADE_INFER_WORKERS: { check: whole(1, 256), help: 'Inference worker threads. Unset: one for each processor.' },
  SACCADE_INFER_THREADS: { check: whole(1, 256), help: 'Threads inside one run of a model. Unset: what the workers leave of the processors.' },
  SACCADE_INFER_BATCH: { check: whole(1, 1024), help: 'Rows joined in one run, at most. Unset: what pays on this machine, measured at start.' },
  SACCADE_INFER_DELAY_MS: { check: whole(0, 1000), help: 'How long a row waits for company. Unset: no longer than company saves it, as measured.' },
  SACCADE_INFER_FOLD: { check: yesNo, default: 'true', help: 'true: what a model does with the pixels before its first convolution is made part of it when it is loaded, where that is known how and its answers stay the same. Its file is not changed.' },
  SACCADE_PROVIDERS: { check: list.pipe(z.array(oneOf(['cuda', 'cpu'])).min(1)), default: 'cuda,cpu', help: 'ONNX Runtime execution providers, tried in order.' },
  SACCADE_LOG: { check: oneOf(['file', 'stdout']), default: 'file', help: 'Where JSON logs go: <data>/logs/saccade.log, or stdout.' },
  SACCADE_LOG_LEVEL: { check: oneOf(['debug', 'info', 'warn', 'error']), default: 'info', help: 'Least level logged.' },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof settings;
export type Settings = {
  readonly [K in SettingName]: (typeof settings)[K] extends { default: string }
    ? z.output<(typeof settings)[K]['check']>
    : z.output<(typeof settings)[K]['check']> | undefined;
};

/** The same table under its general shape. */
export const settingsTable: Readonly<Record<SettingName, Setting>> = settings;
