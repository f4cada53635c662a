/** What every database of metadata must do, embedded or not. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import type { Metadata, NewKey } from '../../connectors/metadata-port.ts';
import { verifyTrail } from '../../processors/access-commands/verify.ts';
import { makeKey } from '../../processors/access/key.ts';
import { chainCheck, entryText, type AuditEntry, type ChainedEntry } from '../../schemas/audit.ts';
import { eventually } from '../support/pipeline.ts';

const unique = (what: string): string => `${what}-${randomUUID().slice(0, 8)}`;
const newKey = (tenant: string, over: Partial<NewKey> = {}): NewKey => {
  const { id, secretHash } = makeKey();
  return { id, secretHash, tenant, role: 'operator', label: 'test', plan: null, models: null, sources: null, createdBy: 'test', expiresAt: null, ...over };
};
const entry = (over: Partial<AuditEntry> = {}): AuditEntry => ({ at: 1_767_225_600_000, actor: 'key:a', tenant: 'one', role: 'admin', action: 'POST /v1/infer', target: 'ünicode "\\', status: 200, address: '::1', ...over });

/** `open` opens another connection to the same database, as another process would; `look` reads what lies in its tables. */
export function metadataContract(open: (keys?: readonly Buffer[]) => Promise<Metadata>, look: (sql: string, values: unknown[]) => Promise<{ secret: string }[]>): void {
  async function using<T>(act: (metadata: Metadata, other: Metadata) => Promise<T>): Promise<T> {
    const [one, other] = [await open(), await open()];
    try {
      return await act(one, other);
    } finally {
      await Promise.all([one.close(), other.close()]);
    }
  }

  test('processes that start at once migrate once, and again does nothing', async () => {
    const all = await Promise.all([open(), open(), open()]);
    await Promise.all(all.map((one) => one.access.tenants()));
    await Promise.all(all.map((one) => one.close()));
  });

  test('the first key is made once, whoever tries', async () => {
    await using(async (one, other) => {
      const home = unique('home');
      await one.access.ensureTenant(home);
      await other.access.ensureTenant(home);
      const made = await Promise.all([one, other, one, other].map(({ access }) => access.createFirstKey(newKey(home, { role: 'admin' }))));
      // Of a database that has a key from another test none is made at all.
      assert.ok(made.filter(Boolean).length <= 1, made.join());
      assert.equal(await one.access.createFirstKey(newKey(home)), false);
    });
  });

  describe('keys', () => {
    test('what is created is found, listed by tenant, and revoked at once', () =>
      using(async ({ access }) => {
        const [mine, theirs] = [unique('mine'), unique('theirs')];
        await access.createTenant(mine, 'demo');
        await access.createTenant(theirs, null);
        const key = newKey(mine, { expiresAt: 1_800_000_000_123, plan: 'standard', models: ['nanodet'], sources: ['gate-*', 'a "b", {c}'] });
        const before = Date.now() - 60_000;
        const made = await access.createKey(key);
        assert.ok(made.createdAt > before && made.createdAt < Date.now() + 60_000);
        assert.deepEqual([made.expiresAt, made.revokedAt, made.lastUsedAt, made.models, made.sources], [1_800_000_000_123, null, null, key.models, key.sources]);
        assert.deepEqual(await access.standing([key.id, 'nothing']), new Set([key.id]));
        const { secretHash, tenantPlan, ...info } = (await access.findKey(key.id))!;
        assert.deepEqual(info, made);
        await assert.rejects(access.createKey(newKey(mine, { role: 'admin', models: ['nanodet'] })), 'an admin could make itself another key');
        assert.ok(secretHash.equals(key.secretHash));
        assert.equal(tenantPlan, 'demo');
        assert.deepEqual(await access.keys(theirs), []);
        assert.deepEqual((await access.keys(mine)).map(({ id }) => id), [key.id]);
        assert.ok((await access.keys(null)).some(({ id }) => id === key.id));

        assert.equal(await access.revokeKey(key.id, theirs), null, "another tenant's key is not there");
        assert.equal((await access.findKey(key.id))!.revokedAt, null);
        const revoked = await access.revokeKey(key.id, mine);
        assert.ok(revoked!.revokedAt! > before);
        assert.equal((await access.revokeKey(key.id, null))!.revokedAt, revoked!.revokedAt, 'revoked once, with its time');
        const expired = newKey(mine, { expiresAt: Date.now() - 1_000 });
        await access.createKey(expired);
        assert.deepEqual(await access.standing([key.id, expired.id]), new Set());
        assert.equal(await access.revokeKey('nothing', null), null);
        assert.equal(await access.findKey("'; DROP TABLE keys; --"), null);
      }));

    test('a tenant twice, a key of no tenant, a role and a name that are none', () =>
      using(async ({ access }) => {
        const name = unique('tenant');
        await access.createTenant(name, null);
        await assert.rejects(access.createTenant(name, null), { code: 'already_exists' });
        await assert.rejects(access.createKey(newKey(unique('nowhere'))), { code: 'not_found', message: /no tenant 'nowhere/ });
        await assert.rejects(access.createKey(newKey(name, { role: 'root' as never })));
        await assert.rejects(access.createTenant('a b', null));
        assert.equal(await access.tenant(unique('nowhere')), null);
        assert.equal((await access.tenant(name))!.name, name);
        // What failed left nothing locked.
        await access.createKey(newKey(name));
      }));

    test('when they were last used never goes back', () =>
      using(async ({ access }, other) => {
        const tenant = unique('used');
        await access.createTenant(tenant, null);
        const [a, b] = [newKey(tenant), newKey(tenant)];
        await Promise.all([access.createKey(a), access.createKey(b)]);
        await access.usedKeys(new Map([[a.id, 2_000_000], [b.id, 5], ['unknown', 7]]));
        await other.access.usedKeys(new Map([[a.id, 1_000_000]]));
        await access.usedKeys(new Map());
        assert.equal((await access.findKey(a.id))!.lastUsedAt, 2_000_000);
        assert.equal((await access.findKey(b.id))!.lastUsedAt, 5);
      }));

    test('others are told of what changed', () =>
      using(async (one, other) => {
        const told: (string | null)[] = [];
        const watch = await other.access.watchKeys((id) => told.push(id));
        await eventually(() => watch.connected(), 'the watch');
        const tenant = unique('told');
        await one.access.createTenant(tenant, null);
        const key = newKey(tenant);
        await one.access.createKey(key);
        await one.access.revokeKey(key.id, null);
        await eventually(() => told.filter((id) => id === key.id).length === 2, 'both changes');
        await watch.close();
        assert.equal(watch.connected(), false);
      }));
  });

  test('a shared secret is the same for all, and 32 bytes', () =>
    using(async (one, other) => {
      const name = unique('secret');
      const [a, b, c] = await Promise.all([one.access.sharedSecret(name), other.access.sharedSecret(name), one.access.sharedSecret(name)]);
      assert.equal(a.length, 32);
      assert.ok(a.equals(b) && a.equals(c));
      assert.ok(!a.equals(await one.access.sharedSecret(unique('another'))));
    }));

  test('a second factor: enrolled, confirmed by its first code, each step once', () =>
    using(async (one, other) => {
      const who = unique('key');
      assert.equal(await one.access.secondFactor(who), null);
      await one.access.enrolSecondFactor(who, 'AAAA');
      await other.access.enrolSecondFactor(who, 'BBBB');
      assert.deepEqual(await one.access.secondFactor(who), { secret: 'BBBB', confirmed: false });
      const taken = await Promise.all([one, other, one, other].map(({ access }) => access.takeStep(who, 100)));
      assert.equal(taken.filter(Boolean).length, 1, 'one of four at once');
      assert.equal(await one.access.takeStep(who, 99), false);
      assert.equal(await one.access.takeStep(who, 101), true);
      assert.deepEqual(await one.access.secondFactor(who), { secret: 'BBBB', confirmed: true });
      await assert.rejects(one.access.enrolSecondFactor(who, 'CCCC'), { code: 'already_exists' });
      assert.equal(await one.access.takeStep(unique('nobody'), 5), false);
      assert.equal(await one.access.removeSecondFactor(who), true);
      assert.equal(await one.access.removeSecondFactor(who), false);
    }));

  test('a secret lies there sealed, by a key that can be changed; what lay there plain is taken up', async () => {
    const [old, fresh] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
    const under = async <T>(keys: readonly Buffer[], act: (access: Metadata['access']) => Promise<T>): Promise<T> => {
      const metadata = await open(keys);
      return act(metadata.access).finally(() => metadata.close());
    };
    const [who, other, early] = [unique('key'), unique('key'), unique('key')];
    const lying = async (principal: string) => (await look('SELECT secret FROM second_factors WHERE principal = $1', [principal]))[0]!.secret;
    // Whatever other tests left under keys of their own.
    await look('DELETE FROM second_factors', []);

    await look('INSERT INTO second_factors (principal, secret) VALUES ($1, $2)', [early, 'JBSWY3DPEHPK3PXP']);
    await under([], async (access) => {
      assert.deepEqual(await access.sealSecrets(), { sealed: 0, plain: 1 });
      assert.equal((await access.secondFactor(early))!.secret, 'JBSWY3DPEHPK3PXP', 'as before there were keys');
      await assert.rejects(access.enrolSecondFactor(who, 'AAAA'), { code: 'secrets_unavailable', message: /SACCADE_SEALING_KEY is not set/ });
    });
    await under([old], async (access) => {
      assert.deepEqual(await access.sealSecrets(), { sealed: 1, plain: 0 });
      assert.deepEqual(await access.sealSecrets(), { sealed: 0, plain: 0 });
      assert.doesNotMatch(await lying(early), /JBSWY3DPEHPK3PXP/);
      assert.equal((await access.secondFactor(early))!.secret, 'JBSWY3DPEHPK3PXP');
      for (const [principal, secret] of [[who, 'AAAA'], [other, 'AAAA']] as const) await access.enrolSecondFactor(principal, secret);
      assert.match(await lying(who), /^v1\.[0-9a-f]{8}\.[\w-]+\.[\w-]+\.[\w-]{22}$/);
      assert.notEqual((await lying(who)).split('.')[3], (await lying(other)).split('.')[3], 'one secret twice does not show');
    });
    await under([fresh], async (access) => {
      await assert.rejects(access.secondFactor(who), { code: 'secrets_unavailable', message: /SACCADE_SEALING_KEY/ });
      await assert.rejects(access.sealSecrets(), { code: 'secrets_unavailable', message: /sealed with the key [0-9a-f]{8}, which is not here/ });
    });
    // First known everywhere, then the one that seals, then alone.
    await under([old, fresh], async (access) => assert.deepEqual(await access.sealSecrets(), { sealed: 0, plain: 0 }));
    await under([fresh, old], async (access) => assert.deepEqual(await access.sealSecrets(), { sealed: 3, plain: 0 }));
    await under([fresh], async (access) => {
      assert.deepEqual([(await access.secondFactor(who))!.secret, await access.sealSecrets()], ['AAAA', { sealed: 0, plain: 0 }]);
      await look('UPDATE second_factors SET secret = $2 WHERE principal = $1', [other, await lying(who)]);
      await assert.rejects(access.secondFactor(other), { code: 'secrets_unavailable', message: /was changed, or is another's/ });
      const kept = await lying(who);
      const middle = kept.lastIndexOf('.') - 2;
      await look('UPDATE second_factors SET secret = $2 WHERE principal = $1', [who, `${kept.slice(0, middle)}${kept[middle] === 'A' ? 'B' : 'A'}${kept.slice(middle + 1)}`]);
      await assert.rejects(access.secondFactor(who), { code: 'secrets_unavailable' });
    });
    await look('DELETE FROM second_factors', []);
  });

  describe('the audit trail', () => {
    const all = async ({ audit }: Metadata): Promise<ChainedEntry[]> => {
      const found: ChainedEntry[] = [];
      for (;;) {
        const page = await audit.read(found.length + 1, 7);
        found.push(...page);
        if (page.length < 7) return found;
      }
    };

    test('is one chain over all that write at once', () =>
      using(async (one, other) => {
        const before = (await one.audit.head()).number;
        await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 ? one : other).audit.append([entry({ target: `${i}a` }), entry({ target: `${i}b` })])));
        await one.audit.append([]);
        const entries = await all(one);
        assert.equal(entries.length, before + 40);
        assert.equal(chainCheck()(entries), null);
        const head = await other.audit.head();
        assert.ok(head.number === entries.length && head.hash.equals(entries.at(-1)!.hash));
        assert.equal(new Set(entries.slice(before).map(({ entry: text }) => (JSON.parse(text) as AuditEntry).target)).size, 40);
      }));

    test('goes to the topic in order, by one publisher at a time, and again where it could not be sent', () =>
      using(async (one, other) => {
        while ((await one.audit.publish('before', 1000, async () => {})) > 0);
        const first = (await one.audit.head()).number + 1;
        await one.audit.append([1, 2, 3].map((i) => entry({ target: `p${i}` })));
        await assert.rejects(one.audit.publish('a', 10, async () => Promise.reject(new Error('the log is away'))), /away/);
        const sent: number[] = [];
        const send = async (entries: readonly ChainedEntry[]) => {
          // While one is at it, another does nothing.
          if (sent.length === 0) assert.equal(await other.audit.publish('b', 10, async () => assert.fail('two at once')), 0);
          sent.push(...entries.map(({ number }) => number));
        };
        assert.equal(await one.audit.publish('a', 2, send), 2);
        assert.equal(await other.audit.publish('b', 2, send), 1);
        assert.equal(await one.audit.publish('a', 2, send), 0);
        assert.deepEqual(sent, [first, first + 1, first + 2]);
      }));

    test('what is too old goes, and the chain holds from there on; where it was cut off otherwise shows', () =>
      using(async (one, other) => {
        const whole = (await all(one)).length;
        const [old, young] = [entry().at + 10, entry().at + 20];
        const keepMs = young - old - 5;
        await one.audit.append([entry({ at: old }), entry({ at: old }), entry({ at: young }), entry({ at: old }), entry({ at: young })]);
        assert.equal(await one.audit.prune(young, young, 'home'), whole, 'what is not in the topic yet stays');
        while ((await one.audit.publish('before', 1000, async () => {})) > 0);
        // At once, as two edges may.
        const gone = await Promise.all([one.audit.prune(young, young, 'home'), other.audit.prune(young, young, 'home')]);
        assert.equal(gone[0] + gone[1], 2);
        const { pruned, number } = await one.audit.head();
        assert.deepEqual([pruned.number, number], [whole + 2, whole + 7]);
        const left = await one.audit.read(1, 100);
        assert.deepEqual(left.map((kept) => kept.number), [3, 4, 5, 6, 7].map((i) => whole + i));
        assert.deepEqual({ ...(JSON.parse(left[4]!.entry) as AuditEntry), target: '' }, { ...entry(), at: young, actor: 'retention', tenant: 'home', role: '', action: 'audit prune', target: '', status: 0, address: '' });
        assert.deepEqual(await verifyTrail(one.audit, null, keepMs), { entries: 5, pruned: whole + 2, compared: null, broken: null });
        assert.equal(await one.audit.prune(young, young, 'home'), 0, 'nothing more is that old');

        // Somebody who knows the tables takes out one more and says that it was retention.
        const [next] = left;
        const forged: Pick<Metadata['audit'], 'read' | 'head'> = {
          read: (from, limit) => one.audit.read(Math.max(from, next!.number + 1), limit),
          head: async () => ({ ...(await one.audit.head()), pruned: next! }),
        };
        const { broken } = await verifyTrail(forged, null, keepMs);
        assert.deepEqual([broken!.number, /no entry in it says/.test(broken!.why)], [next!.number, true]);
        // The topic still has all of it; what was taken out is no difference, what was changed is.
        const topic = (change: (kept: ChainedEntry) => ChainedEntry) => async (visit: (kept: ChainedEntry) => void) => {
          for (const kept of [{ number: 1, entry: entryText(entry({ at: old })), hash: Buffer.alloc(32) }, { ...pruned, entry: entryText(entry({ at: old })) }, ...left]) visit(change(kept));
        };
        assert.deepEqual(await verifyTrail(one.audit, topic((kept) => kept), keepMs), { entries: 5, pruned: whole + 2, compared: 6, broken: null });
        const elsewhere = await verifyTrail(one.audit, topic((kept) => (kept.number === pruned.number ? { ...kept, hash: Buffer.alloc(32) } : kept)), keepMs);
        assert.equal(elsewhere.broken!.number, pruned.number);
        // Whoever takes out what is not old enough chains an entry that says so, and is told of by the topic; or by the settings, which keep all.
        const early = await verifyTrail(one.audit, topic((kept) => kept), 15);
        assert.deepEqual([early.broken!.number, /before its time/.test(early.broken!.why)], [1, true]);
        assert.match((await verifyTrail(one.audit, null)).broken!.why, /SACCADE_KEEP_AUDIT_DAYS keeps all/);
      }));
  });
}
