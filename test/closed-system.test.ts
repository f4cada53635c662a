/** npm start with SACCADE_AUTH=required, as a user starts it: the first key, what it opens, a tenant's own topic, frames that are kept, and the trail of it in the topic. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { needsKafka } from './support/components.ts';
import { bearer } from './support/closed-edge.ts';
import { picture, raw } from './support/edge.ts';
import { eventually } from './support/pipeline.ts';
import { allGone, logOf, processesOf, runFileOf, startSaccade } from './support/saccade.ts';

test('a pipeline that asks who asks', { skip: needsKafka, timeout: 240_000 }, async () => {
  const data = mkdtempSync(join(tmpdir(), 'saccade-closed-'));
  const saccade = startSaccade(data, ['--source', 'none'], { SACCADE_AUTH: 'required', SACCADE_MODELS: 'efficientnet-lite0', SACCADE_TENANT_TOPICS: 'frames.in.gates=acme', SACCADE_KEEP_FRAMES_EVERY_S: oneStretch() });
  try {
    const url = await saccade.ready();
    const [key] = /sac_[a-z0-9]{16}_\S{43}/.exec(saccade.output())!;
    const post = (headers: Record<string, string>) => fetch(`${url}/v1/infer`, raw(picture('coffee'), headers));
    assert.equal((await post({})).status, 401);
    const answer = await post(bearer(key!));
    const told = await answer.text();
    assert.equal(answer.status, 200, told);
    const command = (...args: string[]): string => execFileSync(process.execPath, ['--import', 'tsx', 'processors/saccade.ts', ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, SACCADE_DATA: data } });
    const made = command('keys', 'create', '--role', 'viewer').trim();
    assert.equal((await post(bearer(made))).status, 403);
    command('keys', 'revoke', made);
    await eventually(async () => (await post(bearer(made))).status === 401, 'the end of the key');
    await ownTopic(data, url, command);
    const later = await fetch(`${url}/v1/infer`, raw(picture('astronaut'), bearer(key!)));
    const [first, second] = [JSON.parse(told), await later.json()] as [{ id: string }, { id: string }];
    await lookedAt([first.id, second.id], url, command);
    command('audit', 'verify');
    assert.doesNotMatch(readFileSync(join(data, 'logs', 'saccade.log'), 'utf8'), new RegExp(key!.slice(22)));
    const run = runFileOf(data);
    assert.equal(await saccade.interrupt(), 0);
    await allGone(processesOf(run));
  } finally {
    saccade.child.kill('SIGKILL');
    rmSync(data, { recursive: true, force: true });
  }
});

/** A length of the stretches that frames are kept of, counted from 1970, within one of which this whole test lies. */
const oneStretch = (): string => String([86_400, 80_000].find((s) => (Date.now() / 1000) % s < s - 600)!);

/** A frame of a tenant's topic, whatever its producer writes, and a record of it that is none: both are that tenant's, and nobody else's. */
async function ownTopic(data: string, url: string, command: (...args: string[]) => string): Promise<void> {
  command('tenants', 'create', 'acme');
  const keyOf = (...args: string[]): string => command('keys', 'create', '--role', 'viewer', ...args).trim();
  const [acme, home] = [keyOf('--tenant', 'acme'), keyOf()];
  const log = logOf(runFileOf(data));
  const producer = await log.producer();
  const headers = { tenant: 'default', 'saccade-tenant': 'default', 'x-tenant': 'default' };
  await producer.send([
    { topic: 'frames.in.gates', key: 'gate', value: picture('coffee'), headers: { ...headers, id: 'one' } },
    { topic: 'frames.in.gates', key: 'gate', value: Buffer.from('no picture'), headers: { ...headers, id: 'two' } },
    { topic: 'frames.in', key: 'gate', value: picture('coffee'), headers: { tenant: 'acme', id: 'one' } },
  ]);
  const seen = async (key: string): Promise<string[]> => {
    const response = await fetch(`${url}/v1/predictions?source=gate`, { headers: bearer(key) });
    return ((await response.json()) as { items: { id: string; status: string }[] }).items.map(({ id, status }) => `${id} ${status}`);
  };
  await eventually(async () => (await seen(acme)).length === 2 && (await seen(home)).length === 1, 'both tenants to see their own', 60_000);
  const [theirs, ours] = [await seen(acme), await seen(home)];
  assert.deepEqual(theirs.map((one) => one.split(' ')[1]).sort(), ['dead_lettered', 'ok']);
  assert.ok(ours.every((one) => one.endsWith(' ok') && !theirs.includes(one)), 'one id of one source is another frame');
  assert.equal((await log.endOffsets('frames.in.gates.dlq')).reduce((sum, { offset }) => sum + offset, 0), 1);
  await log.close();
}

/** The first frame of a source is kept, and any other can be had from the log: by its own tenant. */
async function lookedAt([frame, later]: readonly [string, string], url: string, command: (...args: string[]) => string): Promise<void> {
  const keyOf = (tenant: string): string => command('keys', 'create', '--role', 'viewer', '--tenant', tenant).trim();
  const [home, acme] = [keyOf('default'), keyOf('acme')];
  const rows = async (key: string, query: string): Promise<string[]> => {
    const response = await fetch(`${url}/v1/sql?format=TSV`, { method: 'POST', headers: { ...bearer(key), 'content-type': 'text/plain' }, body: query });
    return (await response.text()).trim().split('\n');
  };
  await eventually(async () => (await rows(home, 'select distinct reason from kept_frames')).join() === 'sample', 'a sample to be kept', 60_000);
  const kept = await rows(home, 'select frame_id from kept_frames');
  assert.ok(kept.includes(frame), 'that of the request is the first of its source');
  const image = (id: string, headers: Record<string, string> = {}) => fetch(`${url}/v1/frames/${id}/image`, { headers });
  const shown = await image(frame, bearer(home));
  assert.equal(shown.status, 200);
  assert.ok(Buffer.from(await shown.arrayBuffer()).equals(picture('coffee')));
  assert.equal((await image(frame, { ...bearer(home), 'if-none-match': shown.headers.get('etag')! })).status, 304);
  await eventually(async () => (await image(later, bearer(home))).status === 200, 'the other one, from the log, once it is stored', 60_000);
  assert.ok(!(await rows(home, 'select frame_id from kept_frames')).includes(later));
  assert.ok(Buffer.from(await (await image(later, bearer(home))).arrayBuffer()).equals(picture('astronaut')));
  for (const id of [frame, later]) assert.deepEqual([(await image(id, bearer(acme))).status, (await image(id)).status], [404, 401]);
}
