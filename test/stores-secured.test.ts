/** Registry, ClickHouse and PostgreSQL over TLS with a password, reached by the settings as a deployment would. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { freePort } from './chaos/world/free-port.ts';
import { needsRegistry, registryUrl } from './support/components.ts';
import { embeddedStore } from './support/embedded-store.ts';
import { needsHaproxy, startHaproxy } from './support/haproxy.ts';
import { eventually } from './support/pipeline.ts';
import { needsPostgres, startTestPostgres, type TestPostgres } from './support/postgres.ts';
import { makeCertificate, needsRedisAndOpenssl as needsOpenssl } from './support/redis.ts';

/** Uses one of the three with nothing but the settings, and says what it did. */
const script = `
  import { startStack } from './deploy/local/stack.ts';
  import { openMetadataOf, openRegistry, openStore, storeAt } from './processors/connect.ts';
  import { readConfig } from './processors/config.ts';
  import { exampleRecord } from './schemas/examples.ts';
  import { topicSpecs } from './schemas/topics.ts';
  const config = readConfig([], process.env, '/nonexistent');
  const { settings } = config;
  const use = {
    async registry() {
      const stack = await startStack({ dataDir: process.env.SACCADE_DATA, kafkaBrokers: ['localhost:1'], registryUrl: settings.SCHEMA_REGISTRY_URL, clickhouse: null, say() {} });
      const registry = openRegistry(config, stack);
      const topic = topicSpecs([], { partitions: 1, replication: 1, minInSync: 1 }).find(({ schema }) => schema === 'prediction');
      await registry.prepare([topic]);
      const bytes = await registry.encode(topic.name, exampleRecord('prediction'));
      return registry.kind + ' ' + (await registry.decode(topic.name, bytes)).model;
    },
    async store() {
      const stack = await startStack({ dataDir: process.env.SACCADE_DATA, kafkaBrokers: ['localhost:1'], registryUrl: 'http://localhost:1', clickhouse: storeAt(settings, null), say() {} });
      const store = openStore(stack, settings);
      const [row] = await store.query('select count() as n from predictions');
      await store.close();
      return stack.clickhouse.kind + ' ' + row.n;
    },
    async metadata() {
      const metadata = await openMetadataOf(settings, '/nonexistent', 'command');
      await metadata.access.ensureTenant('over-tls');
      const tenants = await metadata.access.tenants();
      await metadata.close();
      return 'metadata ' + tenants.map(({ name }) => name);
    },
  };
  console.log('used ' + (await use[process.argv[1]]()));
  process.exit(0);
`;
const user = 'saccade';
const password = 'correct horse';

describe('stores over TLS with a password', { skip: needsHaproxy || needsRegistry || needsPostgres || needsOpenssl, timeout: 180_000 }, () => {
  const { cert, key, folder } = makeCertificate();
  let clickhouse: string;
  let proxy: ReturnType<typeof startHaproxy>;
  let postgres: TestPostgres;
  let env: Record<string, string>;

  embeddedStore('secured', (_store, url) => (clickhouse = url));
  before(async () => {
    const [registryPort, storePort] = [await freePort(), await freePort()];
    const pem = join(folder, 'both.pem');
    writeFileSync(pem, readFileSync(cert, 'utf8') + readFileSync(key, 'utf8'));
    const door = (name: string, port: number, to: string): string => `
frontend ${name}
  bind 127.0.0.1:${port} ssl crt ${pem}
  http-request auth unless { http_auth(people) }
  http-request del-header Authorization
  default_backend ${name}-behind
backend ${name}-behind
  server ${name} ${new URL(to).host}
`;
    proxy = startHaproxy(`
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
userlist people
  user ${user} insecure-password "${password}"
${door('registry', registryPort, registryUrl!)}${door('clickhouse', storePort, clickhouse)}`);
    postgres = await startTestPostgres({ tls: { cert, key } });
    env = {
      SCHEMA_REGISTRY_URL: `https://localhost:${registryPort}${new URL(registryUrl!).pathname}`, SCHEMA_REGISTRY_USERNAME: user, SCHEMA_REGISTRY_PASSWORD: password,
      CLICKHOUSE_URL: `https://localhost:${storePort}`, CLICKHOUSE_USER: user, CLICKHOUSE_PASSWORD: password,
      DATABASE_URL: `${postgres.url}?sslmode=verify-full`,
    };
    await eventually(async () => ((await fetch(`https://localhost:${storePort}`).catch((error: Error) => error)) as Error & { cause?: { code: string } }).cause?.code !== 'ECONNREFUSED', 'the proxy');
  });
  after(async () => {
    await proxy?.stop();
    await postgres?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const use = (what: string, changed: Record<string, string> = {}) =>
    spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script, what], {
      encoding: 'utf8', timeout: 60_000,
      env: { PATH: process.env.PATH, HOME: process.env.HOME, SACCADE_DATA: join(folder, 'data'), NODE_EXTRA_CA_CERTS: cert, ...env, ...changed },
    });
  const shownBy = ({ stdout, stderr }: { readonly stdout: string; readonly stderr: string }): string => stdout + stderr;
  const refused = (what: string, changed: Record<string, string>, why: RegExp): void => {
    const { stdout, stderr } = use(what, changed);
    assert.doesNotMatch(stdout, /used/);
    assert.match(stderr, why);
  };

  test('the registry: a schema is registered and a record read', () => {
    assert.match(shownBy(use('registry')), /used registry [a-z]+/);
    refused('registry', { SCHEMA_REGISTRY_PASSWORD: 'guessed' }, /registry_unavailable|401/);
    refused('registry', { NODE_EXTRA_CA_CERTS: '' }, /registry_unavailable/);
  });

  test('ClickHouse: a query is answered', () => {
    assert.match(shownBy(use('store')), /used given 0/);
    refused('store', { CLICKHOUSE_PASSWORD: 'guessed' }, /401|invalid_config|store_unavailable|query_failed/);
    refused('store', { NODE_EXTRA_CA_CERTS: '' }, /store_unavailable/);
  });

  test('PostgreSQL: tables are put in place', () => {
    assert.match(shownBy(use('metadata')), /used metadata .*over-tls/);
    refused('metadata', { DATABASE_URL: postgres.url }, /metadata_unavailable|no encryption/);
    refused('metadata', { NODE_EXTRA_CA_CERTS: '' }, /metadata_unavailable/);
  });
});
