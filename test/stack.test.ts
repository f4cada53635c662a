import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Kafka, logLevel } from 'kafkajs';
import type { SaccadeError } from '../connectors/errors.ts';
import { confluentRegistry } from '../connectors/registry/confluent.ts';
import { lockFolder } from '../deploy/local/folder-lock.ts';
import { ensureInstalled } from '../deploy/local/install.mjs';
import { identify, isAlive } from '../deploy/local/process-birth.ts';
import { kafkaProperties, propertiesText } from '../deploy/local/kafka-properties.ts';
import { lineLog } from '../deploy/local/line-log.ts';
import { readRunFile, removeRunFile, writeRunFile, type RunFile } from '../deploy/local/run-file.ts';
import { startStack } from '../deploy/local/stack.ts';
import { exampleRecord } from '../schemas/examples.ts';
import { needsKafka } from './support/components.ts';

const ownerScript = fileURLToPath(new URL('./support/stack-owner.ts', import.meta.url));
const folders: string[] = [];
const folder = (): string => {
  const made = mkdtempSync(join(tmpdir(), 'saccade-stack-'));
  folders.push(made);
  return made;
};
after(() => {
  for (const made of folders) rmSync(made, { recursive: true, force: true, maxRetries: 10 });
});

interface Owner {
  readonly child: ChildProcess;
  readonly lines: AsyncIterator<string>;
  readonly first: RunFile & { readonly said: string[]; readonly error?: string };
}

/** ClickHouse is named but never asked: chdb has tests of its own. */
async function own(dataDir: string, env: Record<string, string> = {}): Promise<Owner> {
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), ownerScript, dataDir, 'http://127.0.0.1:9'], {
    // Tied, so that a test that fails leaves nothing behind.
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    env: { ...process.env, ...env, SACCADE_TIED: '1' },
  });
  child.channel?.unref();
  const reader: Interface = createInterface(child.stdout!);
  const lines = reader[Symbol.asyncIterator]();
  return { child, lines, first: JSON.parse((await lines.next()).value as string) as Owner['first'] };
}

const gone = async (pids: readonly number[]): Promise<void> => {
  const born = pids.map(identify);
  while (born.some(isAlive)) await sleep(50);
};
const ended = (child: ChildProcess): Promise<void> => gone([child.pid!]);

describe('the embedded Kafka and registry', { skip: needsKafka, timeout: 240_000 }, () => {
  const dataDir = folder();
  const client = ({ first }: Owner): Kafka => new Kafka({ brokers: [...first.kafka.brokers], logLevel: logLevel.NOTHING });
  const topic = { name: 'frames', schema: 'frame', plainBytes: false, partitions: 1, replication: 1, minInSync: 1, retentionMs: 60_000, maxRecordBytes: 1000 };
  let clusterId: string;
  let encoded: Buffer;

  test('start, take records of nearly 8 MB, refuse unknown topics', async () => {
    const owner = await own(dataDir);
    assert.equal(owner.first.error, undefined);
    assert.deepEqual([owner.first.kafka.kind, owner.first.registry.kind], ['embedded', 'apicurio']);
    const registry = confluentRegistry({ url: owner.first.registry.url! });
    await registry.prepare([topic]);
    encoded = await registry.encode('frames', exampleRecord('frame'));

    const admin = client(owner).admin();
    await admin.connect();
    clusterId = (await admin.describeCluster()).clusterId;
    await admin.createTopics({ topics: [{ topic: 'frames', numPartitions: 1 }] });
    const producer = client(owner).producer();
    await producer.connect();
    await assert.rejects(producer.send({ topic: 'frames', acks: -1, messages: [{ value: Buffer.alloc(8_400_000) }] }), /larger than the max|too large/i);
    await producer.send({ topic: 'frames', acks: -1, messages: [{ value: encoded }] });
    await producer.send({ topic: 'frames', acks: -1, messages: [{ value: Buffer.alloc(8_300_000) }] });
    assert.deepEqual((await admin.listTopics()).filter((name) => name === 'unheard-of'), []);
    await assert.rejects(client(owner).producer({ retry: { retries: 0 } }).send({ topic: 'unheard-of', messages: [{ value: 'x' }] }));
    assert.equal((await admin.listTopics()).includes('unheard-of'), false);
    await Promise.all([producer.disconnect(), admin.disconnect()]);

    const second = await own(dataDir);
    assert.match(second.first.error ?? '', new RegExp(`Process ${owner.child.pid} already runs on`));
    await ended(second.child);

    owner.child.kill('SIGKILL');
    await gone(owner.first.children.map(({ pid }) => pid));
  });

  test('after kill -9 of every process: same cluster, same address, every acknowledged record, every schema id', async () => {
    const before = await own(dataDir);
    for (const { pid } of before.first.children) process.kill(pid, 'SIGKILL');
    before.child.kill('SIGKILL');
    await gone([before.child.pid!, ...before.first.children.map(({ pid }) => pid)]);
    assert.equal(readRunFile(dataDir), null);

    const owner = await own(dataDir);
    assert.equal(owner.first.error, undefined);
    assert.deepEqual(owner.first.kafka, before.first.kafka);
    const admin = client(owner).admin();
    await admin.connect();
    assert.equal((await admin.describeCluster()).clusterId, clusterId);
    assert.equal((await admin.fetchTopicOffsets('frames'))[0]?.high, '2');
    await admin.disconnect();
    const registry = confluentRegistry({ url: owner.first.registry.url! });
    assert.deepEqual(await registry.decode('frames', encoded), exampleRecord('frame'));
    await registry.prepare([topic]);
    assert.deepEqual(await registry.encode('frames', exampleRecord('frame')), encoded, 'under the same id');

    process.kill(owner.first.children.find(({ name }) => name === 'kafka')!.pid, 'SIGKILL');
    assert.match((JSON.parse((await owner.lines.next()).value as string) as { failed: string }).failed, /kafka ended with/, 'and its death is told');
    owner.child.kill('SIGTERM');
    await gone([owner.child.pid!, ...owner.first.children.map(({ pid }) => pid)]);
  });
});

test('without Java the in-process log takes over, and that is said with what to install', async () => {
  const owner = await own(folder(), { PATH: '', JAVA_HOME: '' });
  assert.deepEqual([owner.first.kafka.kind, owner.first.registry.kind, owner.first.children], ['memory', 'files', []]);
  assert.match(owner.first.said.join('\n'), /NOT DURABLE[^]*Java 17/);
  owner.child.kill('SIGTERM');
  await ended(owner.child);
});

test('the embedded ClickHouse has the same address at the next start, and its words are kept', { timeout: 120_000 }, async () => {
  const dataDir = folder();
  const start = () => startStack({ dataDir, kafkaBrokers: ['127.0.0.1:9'], registryUrl: 'http://127.0.0.1:9', say: () => {} });
  const first = await start();
  process.kill(first.children[0]!.pid, 'SIGKILL');
  const words = join(dataDir, 'logs', 'chdb.log');
  while (!existsSync(words) || !readFileSync(words, 'utf8').includes('SIGKILL')) await sleep(50);
  await first.stop();
  const second = await start();
  await second.stop();
  assert.equal(second.clickhouse?.url, first.clickhouse?.url);
});

test('a data folder of any name reaches Kafka as it is, but for one that it would take for two', () => {
  const text = propertiesText(kafkaProperties('/home/josé/📷\\x', { broker: 1, controller: 2 }));
  assert.match(text, /^log\.dirs=\/home\/jos\\u00e9\/\\ud83d\\udcf7\\\\x$/m);
  assert.throws(() => kafkaProperties('/data/a,b', { broker: 1, controller: 2 }), { code: 'invalid_config', message: /SACCADE_DATA .*'\/data\/a,b'.*comma/ });
});

test('a child’s log is begun anew at a start that finds it too large', () => {
  const file = join(folder(), 'logs', 'child.log');
  lineLog(file)('one');
  lineLog(file)('two');
  assert.match(readFileSync(file, 'utf8'), /one\n.* two\n$/);
  lineLog(file, 10)('three');
  assert.match(readFileSync(file, 'utf8'), /^\S+ three\n$/);
});

describe('the data folder', () => {
  const run: RunFile = {
    pid: process.pid,
    startedAt: '2026-01-01T00:00:00.000Z',
    edge: { url: 'http://127.0.0.1:8080' },
    kafka: { kind: 'memory', brokers: [] },
    registry: { kind: 'files', url: null },
    clickhouse: { kind: 'given', url: 'http://127.0.0.1:1', username: 'default' },
    children: [],
  };

  test('run.json is there while its process is, for its owner only, and means nothing afterwards', () => {
    const dataDir = folder();
    assert.equal(readRunFile(dataDir), null);
    writeRunFile(dataDir, run);
    assert.deepEqual(readRunFile(dataDir)?.edge, run.edge);
    assert.equal(statSync(join(dataDir, 'run.json')).mode & 0o077, 0);
    const written = JSON.parse(readFileSync(join(dataDir, 'run.json'), 'utf8')) as Record<string, unknown>;
    writeFileSync(join(dataDir, 'run.json'), JSON.stringify({ ...written, birth: 'another process with this pid' }));
    assert.equal(readRunFile(dataDir), null);
    writeFileSync(join(dataDir, 'run.json'), '{"pid": 12');
    assert.equal(readRunFile(dataDir), null);
    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    writeRunFile(dataDir, { ...run, pid: dead });
    assert.equal(readRunFile(dataDir), null);
    removeRunFile(dataDir);
    assert.equal(existsSync(join(dataDir, 'run.json')), true, 'another’s file stays');
    writeRunFile(dataDir, run);
    removeRunFile(dataDir);
    assert.equal(existsSync(join(dataDir, 'run.json')), false);
  });

  test('run.json holds no password', () => {
    const dataDir = folder();
    const store = { kind: 'given', url: 'http://127.0.0.1:1', username: 'default', password: 'secret' } as const;
    writeRunFile(dataDir, { ...run, clickhouse: store });
    assert.doesNotMatch(readFileSync(join(dataDir, 'run.json'), 'utf8'), /secret|password/);
    assert.deepEqual(readRunFile(dataDir)?.clickhouse, run.clickhouse);
  });

  test('has one owner at a time; what a dead one left does not block', () => {
    const dataDir = folder();
    const release = lockFolder(dataDir);
    assert.throws(() => lockFolder(dataDir), (error: SaccadeError) => error.code === 'invalid_config' && error.message.includes(String(process.pid)));
    release();
    for (const left of ['', '{"pid":', JSON.stringify({ pid: process.pid, birth: 'long ago' }), JSON.stringify({ pid: 2 ** 22 + 1, birth: null })]) {
      writeFileSync(join(dataDir, 'owner.lock'), left);
      lockFolder(dataDir)();
    }
  });
});

test('a process tied to its parent ends when the parent is killed', async () => {
  const watchdog = new URL('../deploy/local/watchdog.ts', import.meta.url).href;
  const tied = `const { endWithParent } = await import('${watchdog}'); endWithParent(() => process.exit(0)); setInterval(() => {}, 1000); console.log(process.pid);`;
  const args = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', tied];
  const parent = spawn(
    process.execPath,
    ['-e', `require('child_process').spawn(process.execPath, ${JSON.stringify(args)}, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env: { ...process.env, SACCADE_TIED: '1' } })`],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const pid = Number((await createInterface(parent.stdout!)[Symbol.asyncIterator]().next()).value);
  assert.ok(isAlive(identify(pid)));
  parent.kill('SIGKILL');
  await gone([pid]);
});

test('npm packages are installed when missing or when the lock has changed, and not otherwise', async () => {
  const root = folder();
  const dependency = { name: 'local', version: '1.0.0' };
  mkdirSync(join(root, 'local'));
  writeFileSync(join(root, 'local', 'package.json'), JSON.stringify(dependency));
  const manifest = { name: 'root', version: '1.0.0', dependencies: { local: 'file:local' } };
  writeFileSync(join(root, 'package.json'), JSON.stringify(manifest));
  const lock = { name: 'root', version: '1.0.0', lockfileVersion: 3, packages: { '': manifest, local: { version: '1.0.0' }, 'node_modules/local': { resolved: 'local', link: true } } };
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify(lock));
  assert.equal(await ensureInstalled(root, () => {}), true);
  assert.ok(existsSync(join(root, 'node_modules', 'local', 'package.json')));
  assert.equal(await ensureInstalled(root, () => {}), false);
  await sleep(20);
  writeFileSync(join(root, 'package-lock.json'), `${JSON.stringify(lock)}\n`);
  assert.equal(await ensureInstalled(root, () => {}), true);
});
