/** Tokens of an issuer: a real one, here, that signs, rotates, and is asked for its keys over HTTP. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { exportJWK, exportSPKI, generateKeyPair, type JWK, SignJWT, type JWTPayload } from 'jose';
import { oidcIssuer } from '../connectors/oidc/issuer.ts';
import { claimOf, roleOf } from '../processors/access/tokens.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import { anyDatabase, bearer, type ClosedEdge, startClosedEdge, type TestDatabase } from './support/closed-edge.ts';
import { problemOf } from './support/edge.ts';
import { eventually } from './support/pipeline.ts';

type Keys = Awaited<ReturnType<typeof generateKeyPair>>;
interface Signer extends Keys {
  readonly kid: string;
  readonly alg: string;
  readonly jwk: JWK;
}

async function signer(kid: string, alg = 'RS256'): Promise<Signer> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, publicKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

class TestIssuer {
  keys: JWK[] = [];
  fetched = 0;
  named: string | null = null;
  broken = false;
  keysAt = '/keys';
  discovered = 0;
  server!: Server;
  url = '';
  async start(): Promise<void> {
    this.server = createServer((request, response) => {
      const about = (): object => (this.discovered++, { issuer: this.named ?? this.url, jwks_uri: this.keysAt.startsWith('/') ? `${this.url}${this.keysAt}` : this.keysAt });
      const answer = request.url === '/.well-known/openid-configuration' ? about() : request.url === this.keysAt ? (this.fetched++, { keys: this.keys }) : null;
      if (this.broken || !answer) return void response.writeHead(500).end();
      response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
    }).listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.url = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }
}

const claims = (issuer: TestIssuer, over: JWTPayload = {}): JWTPayload => {
  const now = Math.floor(Date.now() / 1000);
  return { iss: issuer.url, aud: 'saccade', sub: 'jane', iat: now, exp: now + 300, tenant: 'one', role: 'admin', ...over };
};
const token = ({ kid, alg, privateKey }: Signer, payload: JWTPayload): Promise<string> => new SignJWT(payload).setProtectedHeader({ alg, kid }).sign(privateKey);
const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('on the edge', () => {
  const issuer = new TestIssuer();
  let database: TestDatabase;
  let edge: ClosedEdge;
  let first: Signer;
  before(async () => {
    await issuer.start();
    first = await signer('first');
    issuer.keys = [first.jwk];
    database = await anyDatabase();
    edge = await startClosedEdge(database, { stages: [], env: { SACCADE_OIDC_ISSUER: issuer.url, SACCADE_OIDC_AUDIENCE: 'saccade', SACCADE_OIDC_ALGORITHMS: 'RS256,ES256' } });
    await edge.metadata.access.ensureTenant('one');
  });
  after(async () => {
    await edge.close();
    await database.stop();
    issuer.server.close();
  });
  const ask = (text: string, path = '/v1/admin/keys') => fetch(`${edge.url}${path}`, { headers: bearer(text) });
  const refused = async (text: string, why: RegExp) => assert.match((await problemOf(await ask(text), 401, 'unauthenticated')).detail!, why);

  test('who it names is who asks: tenant and role of the token, keys beside it', async () => {
    assert.equal((await ask(await token(first, claims(issuer)))).status, 200);
    await problemOf(await ask(await token(first, claims(issuer, { role: 'viewer' }))), 403, 'forbidden');
    await problemOf(await ask(await token(first, claims(issuer)), '/v1/admin/tenants'), 403, 'forbidden');
    assert.equal((await ask(await token(first, claims(issuer, { tenant: 'home' })), '/v1/admin/tenants')).status, 200);
    assert.equal((await ask(await edge.key('one', 'admin'))).status, 200);
  });

  test('expired, not yet valid, of another issuer or audience, without an end or a subject: 401 and why', async () => {
    const now = Math.floor(Date.now() / 1000);
    const without = (name: 'exp' | 'sub'): JWTPayload => Object.fromEntries(Object.entries(claims(issuer)).filter(([claim]) => claim !== name));
    await refused(await token(first, claims(issuer, { exp: now - 31 })), /exp/);
    assert.equal((await ask(await token(first, claims(issuer, { exp: now - 20 })))).status, 200, 'within the skew of the clocks');
    await refused(await token(first, claims(issuer, { nbf: now + 60 })), /nbf/);
    assert.equal((await ask(await token(first, claims(issuer, { nbf: now + 20 })))).status, 200);
    await refused(await token(first, claims(issuer, { iss: 'https://elsewhere.example' })), /iss/);
    await refused(await token(first, claims(issuer, { aud: 'another' })), /aud/);
    await refused(await token(first, without('exp')), /exp/);
    await refused(await token(first, without('sub')), /sub/);
  });

  test('no signature, one by a shared secret, by a public key taken for one, by a stranger, by an algorithm that is not asked for', async () => {
    await refused(`${part({ alg: 'none' })}.${part(claims(issuer))}.`, /./);
    await refused(`${part({ alg: 'none', kid: 'first' })}.${part(claims(issuer))}.AAAA`, /./);
    const spki = new TextEncoder().encode(await exportSPKI(first.publicKey));
    await refused(await new SignJWT(claims(issuer)).setProtectedHeader({ alg: 'HS256', kid: 'first' }).sign(spki), /./);
    const stranger = await signer('first');
    await refused(await token(stranger, claims(issuer)), /signature/);
    await refused(await token(await signer('unknown'), claims(issuer)), /./);
    const ps = await signer('ps', 'PS256');
    issuer.keys = [first.jwk, ps.jwk];
    await refused(await token(ps, claims(issuer)), /alg/);
    const good = await token(first, claims(issuer));
    const [head, , signature] = good.split('.');
    await refused(`${head}.${part(claims(issuer, { role: 'admin', tenant: 'home' }))}.${signature}`, /signature/);
    await refused('a.b.c', /./);
  });

  test('a tenant that does not exist, a role that is none: 401 naming the claim', async () => {
    await refused(await token(first, claims(issuer, { tenant: 'nowhere' })), /claim tenant/);
    await refused(await token(first, claims(issuer, { tenant: 'one\0' })), /claim tenant/);
    await refused(await token(first, claims(issuer, { tenant: undefined })), /claim tenant/);
    await refused(await token(first, claims(issuer, { role: 'root' })), /claim role/);
  });

  test('an address that has shown much that is wrong is refused, but not those behind it whose token is good', async () => {
    const wrong = await token(first, claims(issuer, { aud: 'another' }));
    await eventually(async () => (await ask(wrong)).status === 429, 'the refusal');
    assert.deepEqual([(await ask(await token(first, claims(issuer)))).status, (await ask(wrong)).status], [200, 429]);
  });
});

test('keys rotate: a new one is found when it signs first, an old one is gone when it is no longer published', async () => {
  const issuer = new TestIssuer();
  await issuer.start();
  const [old, fresh] = [await signer('old', 'ES256'), await signer('fresh', 'ES256')];
  issuer.keys = [old.jwk];
  const check = oidcIssuer({ issuer: issuer.url, audience: 'saccade', algorithms: ['ES256'], clockSkewS: 0, clock: systemClock, cooldownMs: 0 });
  await check.claims(await token(old, claims(issuer)));
  issuer.keys = [fresh.jwk];
  await check.claims(await token(fresh, claims(issuer)));
  await assert.rejects(check.claims(await token(old, claims(issuer))), { code: 'unauthenticated' });
  // Ids that nobody has are not fetched for again and again.
  const slow = oidcIssuer({ issuer: issuer.url, audience: 'saccade', algorithms: ['ES256'], clockSkewS: 0, clock: systemClock, cooldownMs: 60_000 });
  await slow.claims(await token(fresh, claims(issuer)));
  const fetched = issuer.fetched;
  for (let i = 0; i < 20; i++) await assert.rejects(slow.claims(await token({ ...fresh, kid: `made-up-${i}` }, claims(issuer))), { code: 'unauthenticated' });
  assert.equal(issuer.fetched, fetched);
  issuer.server.close();
});

test('an issuer that moves its keys is followed: within the hour, or when no key fits; an old address is not asked for ever', async (t) => {
  const issuer = new TestIssuer();
  await issuer.start();
  t.after(() => issuer.server.close());
  const [old, fresh] = [await signer('old', 'ES256'), await signer('fresh', 'ES256')];
  issuer.keys = [old.jwk];
  let now = Date.now();
  const clock = { now: () => now, sleep: async () => {} };
  const check = oidcIssuer({ issuer: issuer.url, audience: 'saccade', algorithms: ['ES256'], clockSkewS: 0, clock, cooldownMs: 10_000 });
  const good = (by: Signer) => token(by, claims(issuer, { exp: Math.floor(now / 1000) + 300 }));
  await check.claims(await good(old));
  issuer.keysAt = '/moved';
  issuer.keys = [fresh.jwk];
  await assert.rejects(check.claims(await good(fresh)), { code: 'unauthenticated' }, 'it has just been asked');
  now += 10_000;
  await check.claims(await good(fresh));
  assert.equal(issuer.discovered, 2);
  now += 3_600_000;
  issuer.broken = true;
  await check.claims(await good(fresh));
  issuer.broken = false;
  now += 3_600_000;
  await check.claims(await good(fresh));
  assert.equal(issuer.discovered, 4, 'asked once an hour, also in the one in which it was away');
  now += 3_600_000;
  issuer.keysAt = 'http://keys.example/';
  await check.claims(await good(fresh));
  const wary = oidcIssuer({ issuer: issuer.url, audience: 'saccade', algorithms: ['ES256'], clockSkewS: 0, clock });
  await assert.rejects(wary.claims(await good(fresh)), { code: 'issuer_unavailable', message: /neither https/ });
});

test('an issuer that is away, broken, or another than it says: 503, and tried again', async () => {
  const issuer = new TestIssuer();
  await issuer.start();
  const own = await signer('own');
  issuer.keys = [own.jwk];
  const check = oidcIssuer({ issuer: issuer.url, audience: 'saccade', algorithms: ['RS256'], clockSkewS: 0, clock: systemClock });
  issuer.broken = true;
  await assert.rejects(check.claims(await token(own, claims(issuer))), { code: 'issuer_unavailable', message: /500/ });
  issuer.broken = false;
  issuer.named = 'https://elsewhere.example';
  await assert.rejects(check.claims(await token(own, claims(issuer))), { code: 'issuer_unavailable', message: /elsewhere/ });
  issuer.named = null;
  await check.claims(await token(own, claims(issuer)));
  issuer.server.close();
});

test('claims by name and by path, the highest role of several', () => {
  assert.equal(claimOf({ 'https://a.b/role': 'viewer', a: { b: 1 } }, 'https://a.b/role'), 'viewer');
  assert.deepEqual(claimOf({ realm_access: { roles: ['x'] } }, 'realm_access.roles'), ['x']);
  assert.equal(claimOf({}, 'constructor.name'), undefined);
  assert.deepEqual([roleOf(['viewer', 'x', 'trainer']), roleOf('operator'), roleOf('admins'), roleOf(7), roleOf(undefined)], ['trainer', 'operator', null, null, null]);
});
