/** Several processes on one data folder, with one environment and one .env for all of them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { lockFolder } from '../deploy/local/folder-lock.ts';
import { type RunFile, writeRunFile } from '../deploy/local/run-file.ts';
import { readConfig } from '../processors/config.ts';
import { storeAt } from '../processors/connect.ts';
import { camerasOf, inVain, portOf, takePlace } from '../processors/joining.ts';

const scratch = mkdtempSync(join(tmpdir(), 'saccade-joining-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

const run = (over: Partial<RunFile>): RunFile => ({
  pid: process.pid,
  startedAt: '2026-01-01T00:00:00.000Z',
  edge: { url: 'http://127.0.0.1:9000' },
  kafka: { kind: 'embedded', brokers: ['127.0.0.1:1'] },
  registry: { kind: 'files', url: null },
  clickhouse: null,
  children: [],
  ...over,
});
const whole = run({});
const withoutEdge = (port: number): RunFile => run({ edge: null, ops: { url: `http://127.0.0.1:${port}` } });

describe('a process that joins a running pipeline', () => {
  const envFile = join(scratch, '.env');
  writeFileSync(envFile, 'PORT=9000\nSACCADE_SOURCE=rtsp://camera/1\n');
  const read = (...argv: string[]) => readConfig(argv, {}, envFile);

  test('leaves the PORT of .env to the one that has it, and takes its own from a flag', () => {
    assert.equal(portOf(read(), null), 9000);
    assert.equal(portOf(read('--stages', 'infer'), whole), 0);
    assert.equal(portOf(read('--stages', 'infer,edge'), whole), 0);
    assert.equal(portOf(read('--stages', 'infer', '--port', '9001'), whole), 9001);
    assert.equal(portOf(readConfig(['--stages', 'infer'], { PORT: '9000' }, '/nonexistent'), whole), 0);
  });

  test('serves the edge on PORT where nobody does yet', () => {
    assert.equal(portOf(read('--stages', 'edge'), withoutEdge(40_000)), 9000);
    assert.equal(portOf(read('--stages', 'edge'), withoutEdge(9000)), 0, 'health and metrics of the first process are there');
    assert.equal(portOf(read('--stages', 'infer'), withoutEdge(40_000)), 0);
  });

  test('serves one edge more on a PORT of its own, and on any where none was given', () => {
    const with9001 = (...argv: string[]) => readConfig(argv, { PORT: '9001' }, '/nonexistent');
    assert.equal(portOf(with9001('--stages', 'edge'), whole), 9001);
    assert.equal(portOf(with9001('--stages', 'infer'), whole), 0, 'health alone');
    assert.equal(portOf(readConfig(['--stages', 'edge'], {}, '/nonexistent'), whole), 0);
    for (const [PORT, url] of [['80', 'http://127.0.0.1'], ['443', 'https://127.0.0.1']] as const) {
      assert.equal(portOf(readConfig(['--stages', 'edge'], { PORT }, '/nonexistent'), run({ edge: { url } })), 0, 'a URL leaves out the usual port');
    }
  });

  test('opens no camera but one of its own flags', () => {
    assert.deepEqual(camerasOf(read(), null), ['rtsp://camera/1']);
    assert.deepEqual(camerasOf(read('--stages', 'infer'), whole), []);
    assert.deepEqual(camerasOf(read('--stages', 'ingest', '--source', 'demo'), whole), ['demo']);
  });

  test('is told when what it runs has nothing to read', () => {
    const fused = run({ fused: ['preprocess+infer'] });
    assert.match(inVain(read('--stages', 'infer'), fused)[0]!, /infer alone gets nothing.*preprocess,infer.*--fuse none/);
    for (const stages of ['preprocess,infer', 'sink', 'preprocess']) assert.deepEqual(inVain(read('--stages', stages), fused), []);
    assert.deepEqual(inVain(read('--stages', 'infer'), whole), []);
    assert.deepEqual(inVain(read('--stages', 'infer'), null), []);
  });

  test('logs in to the store that was given to the first with the password of its own environment, and to an embedded one with none', () => {
    const { settings } = readConfig([], { CLICKHOUSE_PASSWORD: 'secret' }, '/nonexistent');
    const at = { url: 'http://store:8123', username: 'writer' };
    assert.deepEqual(storeAt(settings, run({ clickhouse: { kind: 'given', ...at } })), { ...at, password: 'secret' });
    assert.deepEqual(storeAt(settings, run({ clickhouse: { kind: 'chdb', ...at } })), { ...at, password: '' });
    assert.equal(storeAt(settings, whole), undefined);
  });

  test('a process of its own, on a Kafka that is given, has the settings of its environment', () => {
    assert.equal(portOf(read('--stages', 'infer'), null), 9000);
    assert.deepEqual(camerasOf(read('--stages', 'ingest'), null), ['rtsp://camera/1']);
    assert.deepEqual(camerasOf(readConfig(['--stages', 'ingest'], {}, '/nonexistent'), null), []);
  });
});

describe('several processes started at once on a fresh folder', () => {
  const fresh = () => mkdtempSync(join(scratch, 'data-'));
  const stage = readConfig(['--stages', 'infer'], {}, '/nonexistent');
  const nothing = (): void => {};
  /** Answers once it says that it waits. */
  const waiting = async (data: string) => {
    let place!: ReturnType<typeof takePlace>;
    const line = await new Promise<string>((said) => (place = takePlace(stage, data, said)));
    assert.match(line, /waiting/);
    return { place };
  };

  test('one is first; the next waits until it is up, and joins it', async () => {
    const data = fresh();
    const first = await takePlace(stage, data, nothing);
    assert.deepEqual([first.running, first.locked], [null, true]);
    const { place } = await waiting(data);
    writeRunFile(data, whole);
    assert.deepEqual([(await place).running?.pid, (await place).locked], [process.pid, false]);
    first.release();
  });

  test('the next is first where the first gave up', async () => {
    const data = fresh();
    const release = lockFolder(data);
    const { place } = await waiting(data);
    release();
    assert.equal((await place).locked, true);
    (await place).release();
  });

  test('it does not wait for ever, and a whole pipeline does not wait at all', async () => {
    const data = fresh();
    const release = lockFolder(data);
    await assert.rejects(takePlace(stage, data, nothing, 300), { code: 'invalid_config', message: new RegExp(`Process ${process.pid} .*not up within`) });
    await assert.rejects(takePlace(readConfig([], {}, '/nonexistent'), data, nothing), { code: 'invalid_config', message: new RegExp(`Process ${process.pid} already runs`) });
    release();
  });
});
