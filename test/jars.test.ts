/** Where Kafka's jars are kept, and that one process at a time fetches them. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fetchJars, jarsOnDisk } from '../deploy/local/jars.mjs';
import { lockFile } from '../deploy/local/lock-file.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'saccade-jars-'));
after(() => rmSync(scratch, { recursive: true, force: true }));
const nothing = (): void => {};

describe('with a cache folder that cannot be written', () => {
  process.env.XDG_CACHE_HOME = '/dev/null/cache';
  const tools = { java: 'java', maven: 'false' };

  test('the jars go to the spare folder, and are found there', async () => {
    const spare = join(scratch, 'spare');
    const said: string[] = [];
    await assert.rejects(fetchJars(tools, (line) => said.push(line), spare), /false ended with 1/);
    const [folder = ''] = readdirSync(spare);
    assert.match(said.join(), new RegExp(`fetching .*${join(spare, folder)}`));
    assert.deepEqual(readdirSync(join(spare, folder)), [], 'the lock is given back');
    mkdirSync(join(spare, folder, 'registry'));
    for (const file of ['kafka.jar', 'registry.jar']) writeFileSync(join(spare, folder, file), '');
    writeFileSync(join(spare, folder, 'jars.json'), JSON.stringify({ kafka: ['kafka.jar'], registry: 'registry.jar' }));
    assert.equal(jarsOnDisk(spare)?.kafka, join(spare, folder, 'kafka.jar'));
    assert.equal(jarsOnDisk(), null);
  });

  test('without a spare folder it is named, with the setting that helps', async () => {
    await assert.rejects(fetchJars(tools, nothing), /\/dev\/null\/cache\/saccade\/jvm-\w+ \(E\w+\).*XDG_CACHE_HOME/);
  });
});

describe('the lock', () => {
  test('is waited for, and that is said', async () => {
    const file = join(scratch, 'held');
    const release = await lockFile(file, nothing);
    assert.equal(readFileSync(file, 'utf8'), String(process.pid));
    let next!: Promise<() => void>;
    const line = await new Promise<string>((said) => (next = lockFile(file, said)));
    assert.match(line, new RegExp(`waiting for process ${process.pid}`));
    release();
    (await next)();
    assert.ok(!readdirSync(scratch).some((name) => name.startsWith('held')));
  });

  test('of a process that is gone, or whose pid is another’s by now, is void', async () => {
    const file = join(scratch, 'void');
    writeFileSync(file, String(2 ** 22 + 1));
    (await lockFile(file, nothing))();
    // A living process, but nobody has touched its lock for ten minutes.
    writeFileSync(file, String(process.ppid));
    const long = new Date(Date.now() - 600_000);
    utimesSync(file, long, long);
    (await lockFile(file, nothing))();
  });
});
