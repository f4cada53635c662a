/** keys, tenants and audit on the command line, on the embedded database, whether a pipeline runs or not. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { after, describe, test } from 'node:test';
import pg from 'pg';
import { startPostgres } from '../deploy/local/postgres.ts';
import { readArguments } from '../processors/access-commands/arguments.ts';
import { readConfig } from '../processors/config.ts';
import { openTenants } from '../processors/tenants.ts';
import { parseKey } from '../processors/access/key.ts';
import { saccadeCommand } from '../processors/saccade.ts';

const data = mkdtempSync(join(tmpdir(), 'saccade-commands-'));
after(() => rmSync(data, { recursive: true, force: true }));

async function run(...argv: string[]): Promise<{ code: number; out: string; said: string }> {
  const [out, said] = [[] as string[], [] as string[]];
  const into = (lines: string[]) => new Writable({ write: (chunk, _encoding, done) => (lines.push(String(chunk)), done()) });
  const code = await saccadeCommand(argv, { SACCADE_DATA: data }, new AbortController().signal, { stdout: into(out), stderr: into(said) });
  return { code, out: out.join(''), said: said.join('') };
}

describe('arguments', () => {
  test('what is wrong is named', () => {
    for (const [argv, why] of [
      [['keys', 'create'], /--role is missing.*viewer/],
      [['keys', 'create', '--role', 'root'], /--role is 'root'/],
      [['keys', 'create', '--role', 'viewer', '--days', 'ten'], /--days is 'ten'/],
      [['keys', 'create', '--role', 'viewer', '--plan', 'gold'], /--plan is 'gold'.*demo/],
      [['keys', 'create', '--role', 'viewer', '--tenant', 'a b'], /tenant 'a b'/],
      [['keys', 'revoke'], /Which key|Whose/],
      [['keys', 'list', 'x'], /'x' is too much/],
      [['keys', 'destroy'], /no command 'keys destroy'/],
      [['keys', 'list', '--frob'], /frob/],
    ] as const) assert.throws(() => readArguments(argv), { code: 'bad_request', message: why }, argv.join(' '));
  });
  test('a whole key that has leaked names itself', () => {
    assert.deepEqual(readArguments(['keys', 'revoke', `sac_${'a'.repeat(16)}_${'b'.repeat(43)}`]), { name: 'keys revoke', id: 'a'.repeat(16) });
  });
});

for (const SACCADE_AUTH of ['open', 'required']) test(`asked for the tenants where nobody has made any (${SACCADE_AUTH}), no database is made`, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'saccade-open-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { settings } = readConfig([], { SACCADE_AUTH, SACCADE_DATA: folder, SACCADE_TENANT: 'shop' }, '/nonexistent');
  const known = await openTenants(settings);
  assert.deepEqual([[...known.names], readdirSync(folder)], [['shop'], []]);
  await known.record('faces set', 'shop', { faces: 'blur' });
  await known.close();
});

test('a tenant, its key, its end, and the trail of it', { timeout: 180_000 }, async () => {
  const running = await startPostgres(join(data, 'postgres'), 'pipeline');
  assert.equal((await run('tenants', 'create', 'shop', '--plan', 'standard')).code, 0);
  assert.equal((await run('tenants', 'create', 'shop')).code, 2, 'twice');
  const made = await run('keys', 'create', '--role', 'operator', '--tenant', 'shop', '--label', 'gate', '--days', '90');
  const key = parseKey(made.out.trim());
  assert.ok(key, made.out + made.said);
  assert.match(made.said, /a key of shop, role operator, until 20/);
  assert.equal((await run('keys', 'create', '--role', 'viewer', '--tenant', 'nowhere')).code, 2);
  const list = await run('keys', 'list', '--tenant', 'shop');
  assert.match(list.out, new RegExp(`${key.id} +shop +operator .*until 20.* never +gate`));
  assert.ok(!list.out.includes(key.secret));
  assert.match((await run('tenants', 'list')).out, /shop +standard/);
  const { settings } = readConfig([], { SACCADE_DATA: data, SACCADE_TENANT_TOPICS: 'frames.in.acme=acme' }, '/nonexistent');
  const known = await openTenants(settings);
  assert.deepEqual([...known.names].sort(), ['acme', 'default', 'shop']);
  await known.record('faces set', 'shop', { faces: 'blur' });
  await known.close();
  assert.match((await run('audit', 'list', '--last', '1')).out, /"tenant":"shop","role":"admin","action":"faces set","target":"\{\\"faces\\":\\"blur/);
  assert.equal((await run('keys', 'revoke', key.id)).code, 0);
  assert.equal((await run('keys', 'revoke', 'nothing')).code, 2);
  assert.match((await run('keys', 'list')).out, /revoked/);
  assert.match((await run('audit', 'list', '--last', '1')).out, new RegExp(`"action":"keys revoke","target":"\\{\\\\"key\\\\":\\\\"${key.id}`));
  const keyFile = statSync(join(data, 'sealing.key'));
  assert.equal(keyFile.mode & 0o777, 0o600);
  const whole = await run('audit', 'verify');
  assert.deepEqual([whole.code, /4 entries, the chain is whole; the topic could not be reached/.test(whole.said)], [0, true], whole.said);

  const client = new pg.Client({ connectionString: running.url });
  await client.connect();
  await client.query("UPDATE audit SET entry = replace(entry, 'operator', 'viewer') WHERE number = 2");
  await client.end();
  const broken = await run('audit', 'verify');
  assert.equal(broken.code, 1);
  assert.match(broken.said, /BROKEN at entry 2/);
  await running.stop();
  // Without a pipeline the command starts the database for itself, and ends it.
  assert.match((await run('keys', 'list')).out, new RegExp(key.id));
  assert.equal(statSync(join(data, 'sealing.key')).mtimeMs, keyFile.mtimeMs, 'the key was made once');
  assert.equal(Buffer.from(readFileSync(join(data, 'sealing.key'), 'utf8'), 'base64').length, 32);
  writeFileSync(join(data, 'sealing.key'), 'short');
  const torn = await run('keys', 'list');
  assert.deepEqual([torn.code, /sealing\.key holds what is no key: 32 bytes/.test(torn.said)], [2, true], torn.said);
});

test('a database that is away: exit code 3, and no login in what is said', async () => {
  const said: string[] = [];
  const stderr = new Writable({ write: (chunk, _encoding, done) => (said.push(String(chunk)), done()) });
  const code = await saccadeCommand(['keys', 'list'], { DATABASE_URL: 'postgres://u:s3cret@127.0.0.1:9/x' }, new AbortController().signal, { stdout: stderr, stderr });
  assert.equal(code, 3);
  assert.match(said.join(''), /PostgreSQL.*127\.0\.0\.1:9/);
  assert.doesNotMatch(said.join(''), /s3cret/);
});
