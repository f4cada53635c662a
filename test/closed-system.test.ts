/** npm start with SACCADE_AUTH=required, as a user starts it: the first key, what it opens, and the trail of it in the topic. */
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
import { allGone, processesOf, runFileOf, startSaccade } from './support/saccade.ts';

test('a pipeline that asks who asks', { skip: needsKafka, timeout: 240_000 }, async () => {
  const data = mkdtempSync(join(tmpdir(), 'saccade-closed-'));
  const saccade = startSaccade(data, ['--source', 'none'], { SACCADE_AUTH: 'required', SACCADE_MODELS: 'efficientnet-lite0' });
  try {
    const url = await saccade.ready();
    const [key] = /sac_[a-z0-9]{16}_\S{43}/.exec(saccade.output())!;
    const post = (headers: Record<string, string>) => fetch(`${url}/v1/infer`, raw(picture('coffee'), headers));
    assert.equal((await post({})).status, 401);
    const answer = await post(bearer(key!));
    assert.equal(answer.status, 200, await answer.text());
    const command = (...args: string[]): string => execFileSync(process.execPath, ['--import', 'tsx', 'processors/saccade.ts', ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, SACCADE_DATA: data } });
    const made = command('keys', 'create', '--role', 'viewer').trim();
    assert.equal((await post(bearer(made))).status, 403);
    command('keys', 'revoke', made);
    await eventually(async () => (await post(bearer(made))).status === 401, 'the end of the key');
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
