/** Tenants, keys and the audit trail on real PostgreSQL and on the embedded one: the same contract. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { openDatabase, shownUrl } from '../connectors/postgres/database.ts';
import { openMetadata } from '../connectors/postgres/metadata.ts';
import { migrate } from '../connectors/postgres/migrate.ts';
import { isAlive } from '../deploy/local/process-birth.ts';
import { type LocalPostgres, startPostgres } from '../deploy/local/postgres.ts';
import { metadataContract } from './contracts/metadata.ts';
import { sealingKey } from './support/closed-edge.ts';
import { eventually } from './support/pipeline.ts';
import { needsPostgres, startTestPostgres, type TestPostgres } from './support/postgres.ts';

const scratch = mkdtempSync(join(tmpdir(), 'saccade-metadata-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

const looking = (url: () => string) => async (sql: string, values: unknown[]): Promise<{ secret: string }[]> => {
  const database = openDatabase(url());
  return database.query<{ secret: string }>(sql, values).finally(() => database.close());
};

describe('PostgreSQL', { skip: needsPostgres }, () => {
  let server: TestPostgres;
  before(async () => {
    server = await startTestPostgres();
  });
  after(() => server.stop());
  metadataContract((keys = [sealingKey]) => openMetadata(server.url, keys), looking(() => server.url));

  test('a step that was edited after it was applied, and a file without a number, are refused', async () => {
    const folder = join(scratch, 'migrations');
    mkdirSync(folder);
    const from = pathToFileURL(`${folder}/`);
    writeFileSync(join(folder, '9001_probe.sql'), 'CREATE TABLE probe (a int);\nINSERT INTO probe VALUES (1);');
    const database = openDatabase(server.url);
    await migrate(database, from);
    await migrate(database, from);
    writeFileSync(join(folder, '9001_probe.sql'), 'CREATE TABLE probe (a text);');
    await assert.rejects(migrate(database, from), { code: 'invalid_config', message: /9001 \(probe\) was edited/ });
    // A step that fails half way leaves nothing of itself.
    writeFileSync(join(folder, '9001_probe.sql'), 'CREATE TABLE probe (a int);\nINSERT INTO probe VALUES (1);');
    writeFileSync(join(folder, '9002_torn.sql'), 'CREATE TABLE torn (a int); SELECT nonsense;');
    await assert.rejects(migrate(database, from));
    await assert.rejects(database.query('SELECT * FROM torn'), /torn/);
    writeFileSync(join(folder, 'oops.sql'), '');
    await assert.rejects(migrate(database, from), /oops\.sql/);
    await database.close();
  });

  test('away, it is unavailable in a sentence without its login; back, the same connections serve', async () => {
    const metadata = await openMetadata(server.url);
    const told: (string | null)[] = [];
    const watch = await metadata.access.watchKeys((id) => told.push(id));
    await eventually(() => watch.connected(), 'the watch');
    await server.kill();
    await assert.rejects(metadata.access.tenants(), (error: Error & { code: string }) => error.code === 'metadata_unavailable' && !/correct|tester/.test(error.message));
    await eventually(() => !watch.connected(), 'the loss to be noticed');
    const missed = told.length;
    await server.restart();
    await eventually(() => watch.connected(), 'the watch again');
    assert.ok(told.length > missed && told.at(-1) === null, 'whatever changed meanwhile was missed');
    await metadata.access.tenants();
    await watch.close();
    await metadata.close();
    await assert.rejects(openMetadata(server.url.replace('correct', 'wrong')), { code: 'metadata_unavailable' });
  });
});

describe('the embedded PostgreSQL', () => {
  const folder = join(scratch, 'embedded');
  let local: LocalPostgres;
  before(async () => {
    local = await startPostgres(folder, 'pipeline');
  });
  after(() => local.stop());
  metadataContract((keys = [sealingKey]) => openMetadata(local.url, keys), looking(() => local.url));

  test('another process finds it, and does not end it', async () => {
    const other = await startPostgres(folder, 'command');
    assert.deepEqual([other.url, other.pid], [local.url, null]);
    await other.stop();
    const metadata = await openMetadata(local.url);
    await metadata.access.tenants();
    await metadata.close();
  });

  test('is closed to whoever does not know its password, and the password to other users', async () => {
    await assert.rejects(openMetadata(local.url.replace(/:[^:@]+@/, ':guess@')), { code: 'metadata_unavailable', message: /password/ });
    assert.equal(statSync(join(folder, 'address.json')).mode & 0o777, 0o600);
    assert.doesNotMatch(shownUrl(local.url), new RegExp(JSON.parse(readFileSync(join(folder, 'address.json'), 'utf8')).password as string));
  });

  test('what is no client is cut off, and a transaction left open by one that goes is nobody else’s', async () => {
    const { port } = new URL(local.url);
    for (const bytes of [Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.from([0xff, 0xff, 0xff, 0xff, 1]), Buffer.alloc(64)]) {
      const socket = createConnection({ port: Number(port), host: '127.0.0.1' });
      socket.on('error', () => {});
      const gone = new Promise((resolve) => socket.once('close', resolve));
      socket.write(bytes);
      await gone;
    }
    const client = new pg.Client({ connectionString: local.url });
    client.on('error', () => {});
    await client.connect();
    await client.query('BEGIN');
    await client.query("INSERT INTO tenants (name) VALUES ('left-open')");
    (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    const metadata = await openMetadata(local.url);
    assert.equal(await metadata.access.tenant('left-open'), null);
    await metadata.access.createTenant('left-open', null);
    await metadata.close();
  });

  test('a failed statement inside several leaves the connection usable, parameters of every kind come through', async () => {
    const client = new pg.Client({ connectionString: local.url });
    await client.connect();
    await assert.rejects(client.query('SELECT $1::int / 0', [1]), /division by zero/);
    await assert.rejects(client.query('SELEC 1'), /syntax/);
    const { rows } = await client.query('SELECT $1::text AS a, $2::bytea AS b, $3::timestamptz AS c, $4::text[] AS d', ['ü\'"', Buffer.from([0, 255]), new Date(5), ['x,y', '"']]);
    assert.deepEqual(rows, [{ a: 'ü\'"', b: Buffer.from([0, 255]), c: new Date(5), d: ['x,y', '"'] }]);
    await client.end();
  });

  test('keeps what it holds over a restart, and is gone with its owner', async () => {
    const own = join(scratch, 'kept');
    const first = await startPostgres(own, 'pipeline');
    const metadata = await openMetadata(first.url);
    await metadata.access.createTenant('kept', 'demo');
    await metadata.close();
    await first.stop();
    assert.equal(isAlive({ pid: first.pid!, birth: null }), false);
    const again = await startPostgres(own, 'command');
    const reopened = await openMetadata(again.url);
    assert.equal((await reopened.access.tenant('kept'))!.plan, 'demo');
    await reopened.close();
    await again.stop();
  });
});
