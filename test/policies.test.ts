/** What a tenant wants done with faces, changed while everything runs: it holds for the next picture, and for those that are looked at again. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { memoryBlobs } from '../connectors/blobs/memory.ts';
import { SaccadeError } from '../connectors/errors.ts';
import { memoryLog } from '../connectors/memory/log.ts';
import { openRepository } from '../connectors/models/repository.ts';
import { readConfig } from '../processors/config.ts';
import { keptPictures } from '../processors/keep/kept-pictures.ts';
import { maskPolicyOf, openMasking } from '../processors/masking.ts';
import type { Command } from '../processors/operations/command.ts';
import { commandOf } from '../processors/operations/commands.ts';
import type { World } from '../processors/operations/world.ts';
import { followPolicies, policyAsked } from '../processors/policies-topic.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import { followTable } from '../processors/runtime/control-table.ts';
import { policiesTopic } from '../schemas/policies.ts';
import { topicSpecs } from '../schemas/topics.ts';
import { photo } from './reference/pictures.ts';
import { fedPage } from './support/fed-page.ts';
import { engineWith, modelsNamed, modelsRoot } from './support/models.ts';
import { eventually } from './support/pipeline.ts';

/** A process that follows the topic, and the terminal. */
async function running(t: TestContext, env: NodeJS.ProcessEnv = {}) {
  const log = memoryLog();
  await log.ensureTopics(topicSpecs([], { partitions: 1, replication: 1, minInSync: 1, maxRecordBytes: 1e6 }));
  const producer = await log.producer();
  const { settings } = readConfig([], { SACCADE_MODELS_DIR: modelsRoot, ...env }, '/nonexistent');
  const said: string[] = [];
  const recorded: unknown[] = [];
  const told: string[] = [];
  const trail = { async record(...entry: unknown[]): Promise<void> { recorded.push(entry); } };
  const names = new Set(['default', 'lab', 'acme', 'shop', 'new', ...Array.from({ length: 30 }, (_, i) => `branch-${i}`)]);
  const at = { log, clock: systemClock, settings: maskPolicyOf(settings), say: (line: string) => void said.push(line) };
  const policies = await followPolicies({ ...at, producer });
  const table = await followTable({ log, producer, clock: systemClock, topic: policiesTopic });
  t.after(async () => {
    await Promise.all([policies.close(), table.close()]);
    await log.close();
  });
  async function saccade(...argv: string[]): Promise<string[]> {
    const { command, rest } = commandOf(argv) as { command: Command; rest: readonly string[] };
    const printed: string[] = [];
    await command.run(rest, async () => ({ policies: table, tenants: async () => ({ names, record: trail.record }) }) as unknown as World, { print: (line) => void printed.push(line), say: (line) => void told.push(line) }, new AbortController().signal);
    await table.caughtUp();
    return printed;
  }
  /** What all processes have read. */
  const covering = (tenant: string): string => policies.mask().tenants.get(tenant) ?? policies.mask().usual;
  return { log, at, settings, policies, producer, said, told, recorded, trail, saccade, covering };
}

test('a tenant that wants its faces covered from now on: the next frame of the page and of what is kept is, and so are those before', { timeout: 60_000 }, async (t) => {
  const here = await running(t);
  const engine = await engineWith(await modelsNamed('ultraface'), systemClock);
  const { masker } = openMasking({ settings: here.settings, repository: openRepository(modelsRoot), engine, clock: systemClock, policy: here.policies.mask });
  const page = await fedPage({ masker });
  t.after(async () => {
    await page.stop();
    await engine.close();
  });
  const astronaut = photo('astronaut');
  page.live.of('default').subscribe(() => {});
  async function shown(id: string): Promise<Buffer> {
    const answer = (): Promise<Response> => fetch(`${page.url}/live/frames/${id}`);
    await eventually(async () => {
      // Only what comes after the first viewer is read.
      await page.frame({ id, source: 'gate', image: astronaut });
      return (await answer()).status !== 404;
    }, 'the picture');
    const response = await answer();
    assert.equal(response.status, 200);
    return Buffer.from(await response.arrayBuffer());
  }
  const kept = keptPictures({ blobs: memoryBlobs(), masker });
  assert.deepEqual(await shown('1'), astronaut, 'as it came');
  assert.equal((await kept.put('default', '1', astronaut)).masked, false);

  await here.saccade('faces', 'set', 'default', 'pixelate');
  await eventually(() => here.covering('default') === 'pixelate', 'the process to hear of it');
  assert.notDeepEqual(await shown('2'), astronaut);
  assert.notDeepEqual(await shown('1'), astronaut, 'what was shown before as well');
  assert.equal((await kept.put('default', '2', astronaut)).masked, true);
  assert.notDeepEqual((await kept.get('default', '1'))!.bytes, astronaut);
  assert.equal(await masker.mask(astronaut, 'other'), null, 'nobody else\'s');

  await here.saccade('faces', 'set', 'default', 'settings');
  await eventually(() => here.covering('default') === 'off', 'the process to hear of it');
  assert.deepEqual(await shown('3'), astronaut);
});

test('what is set comes before the settings, which come back when it is taken back; a later start finds it, and so does a command', async (t) => {
  const here = await running(t, { SACCADE_MASK_FACES: 'blur', SACCADE_MASK_TENANTS: 'lab=off' });
  assert.deepEqual(['lab', 'acme'].map(here.covering), ['off', 'blur']);
  await here.saccade('faces', 'set', 'lab', 'pixelate');
  await here.saccade('faces', 'set', 'acme', 'off');
  await eventually(() => here.covering('acme') === 'off' && here.covering('lab') === 'pixelate', 'both');
  assert.deepEqual(await here.saccade('faces', 'list'), ['lab  pixelate', 'acme  off']);
  const later = await followPolicies({ ...here.at, producer: here.producer });
  assert.deepEqual(later.mask(), here.policies.mask());
  await later.close();
  const asked = policyAsked({ ...here.at, topics: async () => [policiesTopic] });
  assert.deepEqual(await asked(), here.policies.mask());
  assert.equal(await asked(), await asked(), 'once');
  assert.deepEqual(await policyAsked({ ...here.at, topics: async () => [] })(), here.at.settings, 'where no pipeline has made the topic');
  await here.saccade('faces', 'set', 'lab', 'settings');
  await eventually(() => here.covering('lab') === 'off', 'the settings again');
});

test('nonsense covers, whatever was before, and what cannot be is refused by the terminal', async (t) => {
  const here = await running(t, { SACCADE_MASK_TENANTS: 'acme=blur' });
  await here.saccade('faces', 'set', 'lab', 'blur');
  await here.saccade('faces', 'set', 'shop', 'off');
  for (const tenant of ['acme', 'lab', 'shop', 'new']) await here.producer.send([{ topic: policiesTopic, key: tenant, value: Buffer.from('{"faces":"no"}'), partition: 0 }]);
  await eventually(() => here.said.length === 4, 'it is said');
  assert.deepEqual(['acme', 'lab', 'shop', 'new', 'other'].map(here.covering), ['blur', 'blur', 'pixelate', 'pixelate', 'off']);
  await eventually(async () => /new {2}nonsense/.test((await here.saccade('faces', 'list')).join()), 'the terminal to have read it too');
  await here.saccade('faces', 'set', 'new', 'settings');
  await eventually(() => here.covering('new') === 'off', 'as the settings say');
  for (const argv of [[], ['acme'], ['a b', 'blur'], ['acme', 'squares'], ['acme', 'blur', 'x']]) await assert.rejects(here.saccade('faces', 'set', ...argv), { code: 'bad_request' });
  await assert.rejects(here.saccade('faces', 'list', 'x'), { code: 'bad_request' });
});

test('a tenant that there is not is refused by name, but for what was set for it before', async (t) => {
  const here = await running(t);
  await assert.rejects(here.saccade('faces', 'set', 'acmee', 'blur'), { code: 'not_found', message: /no tenant 'acmee'; there is default, lab, acme, .*branch-14 and 15 more\./ });
  await assert.rejects(here.saccade('faces', 'set', 'acmee', 'settings'), { code: 'not_found' });
  assert.deepEqual([await here.saccade('faces', 'list'), here.recorded], [[], []]);
  await here.policies.give('acmee', 'blur');
  await eventually(async () => (await here.saccade('faces', 'list')).length === 1, 'the terminal to have read it');
  await here.saccade('faces', 'set', 'acmee', 'settings');
  assert.deepEqual([await here.saccade('faces', 'list'), here.recorded], [[], [['faces set', 'acmee', { faces: null }]]]);
});

test('what the audit trail cannot take is done all the same, and is said to be, before that it failed', async (t) => {
  const here = await running(t);
  here.trail.record = () => Promise.reject(new SaccadeError('metadata_unavailable'));
  await assert.rejects(here.saccade('faces', 'set', 'acme', 'blur'), { code: 'metadata_unavailable' });
  assert.match(here.told.join(), /^faces of acme: blur, from now on/);
  await eventually(() => here.covering('acme') === 'blur', 'every process to go by it');
});
