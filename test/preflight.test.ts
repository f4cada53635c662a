/** What must be refused before anything is started. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { checkFolder, checkPort, portRefusal } from '../processors/preflight.ts';

const scratch = mkdtempSync(join(tmpdir(), 'saccade-preflight-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** A port that somebody has. */
async function takenPort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

describe('before anything is started', () => {
  test('a port that is taken or forbidden, and a host that is not ours, name their settings', async () => {
    const taken = await takenPort();
    await assert.rejects(checkPort('127.0.0.1', taken.port), { code: 'invalid_config', message: /PORT \d+ on 127\.0\.0\.1 is taken/ });
    await assert.rejects(checkPort('203.0.113.1', 0), { code: 'invalid_config', message: /HOST is '203\.0\.113\.1'/ });
    assert.match(portRefusal('127.0.0.1', 80, 'EACCES'), /PORT 80 .*1023/);
    taken.close();
    await checkPort('127.0.0.1', 0);
    await checkPort('127.0.0.1', taken.port);
  });

  test('a data folder is made and left empty, or named', () => {
    const data = join(scratch, 'a', 'b');
    checkFolder(data);
    assert.deepEqual(readdirSync(data), []);
    const file = join(scratch, 'file');
    writeFileSync(file, '');
    for (const bad of [file, join(file, 'data')]) {
      assert.throws(() => checkFolder(bad), { code: 'invalid_config', message: /SACCADE_DATA is '.*file.*', where nothing can be written/ });
    }
  });

  test('the process ends with the sentence, and has started nothing', { timeout: 60_000 }, async () => {
    const taken = await takenPort();
    const start = (env: Record<string, string>) =>
      spawnSync(process.execPath, ['--import', 'tsx', 'processors/main.ts'], { encoding: 'utf8', env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env } });
    const data = join(scratch, 'data');
    const port = start({ SACCADE_DATA: data, PORT: String(taken.port) });
    assert.deepEqual([port.status, port.stdout], [2, '']);
    assert.match(port.stderr, /^saccade: .*PORT \d+ on 127\.0\.0\.1 is taken/);
    assert.ok(!existsSync(join(data, 'kafka')) && !existsSync(join(data, 'owner.lock')), readdirSync(data).join());
    const folder = start({ SACCADE_DATA: '/dev/null/saccade', PORT: '0' });
    assert.deepEqual([folder.status, folder.stdout], [2, '']);
    assert.match(folder.stderr, /^saccade: .*SACCADE_DATA is '\/dev\/null\/saccade'/);
    taken.close();
  });
});
