/**
 * The clients of the README, as they stand there: each shows its key, finds nobody at first, sends pictures over a network that
 * breaks once, and has every outcome once.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileRegistry } from '../connectors/registry/files.ts';
import { pythonWith } from '../deploy/local/python.ts';
import type { Prediction } from '../schemas/records.ts';
import { anyDatabase, type ClosedEdge, startClosedEdge, type TestDatabase } from './support/closed-edge.ts';
import { eventually, readAll } from './support/pipeline.ts';
import { needsPython, run } from './support/python.ts';

const readme = readFileSync('README.md', 'utf8').split('\n');
const folder = mkdtempSync(join(tmpdir(), 'saccade-clients-'));
const photos = Array.from({ length: 24 }, (_, i) => resolve(`media/${['coffee', 'astronaut', 'chelsea'][i % 3]}.jpg`));

/** The program that begins with this line, without its indentation. */
function programOf(begin: string): string {
  const first = readme.findIndex((line) => line.startsWith(`    ${begin}`));
  assert.ok(first >= 0, `the README has no ${begin}`);
  const length = readme.slice(first).findIndex((line) => line !== '' && !line.startsWith('    '));
  return readme.slice(first, first + length).map((line) => line.slice(4)).join('\n');
}

interface Network {
  readonly port: number;
  /** The first line of what came by each connection. */
  readonly asked: string[];
  close(): Promise<void>;
}

/** As a proxy whose edges are away: refuses the first connection. Passes on all others, and cuts the second once so many bytes have come back. */
async function breakingNetwork(port: number, afterBytes: number): Promise<Network> {
  const asked: string[] = [];
  const server: Server = createServer((client) => {
    client.on('error', () => {});
    client.once('data', (head) => {
      const turn = asked.push(head.toString().split('\r\n', 1)[0]!);
      if (turn === 1) return client.end('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      const edge = connect(port, '127.0.0.1');
      let came = 0;
      edge.on('data', (bytes) => {
        came += bytes.length;
        if (turn !== 2 || came <= afterBytes) client.write(bytes);
        else for (const socket of [client, edge]) socket.resetAndDestroy();
      });
      edge.write(head);
      client.pipe(edge);
      edge.on('error', () => {}).on('close', () => client.destroy());
      client.on('close', () => edge.destroy());
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return { port: (server.address() as { port: number }).port, asked, close: () => new Promise((closed) => server.close(() => closed())) };
}

describe("the README's clients of /v1/stream", { timeout: 240_000 }, () => {
  let database: TestDatabase;
  let edge: ClosedEdge;
  before(async () => {
    database = await anyDatabase();
    edge = await startClosedEdge(database);
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(resolve('node_modules/ws'), join(folder, 'node_modules', 'ws'));
    writeFileSync(join(folder, 'stream.mjs'), programOf('// stream.mjs'));
    writeFileSync(join(folder, 'stream.py'), programOf('# stream.py'));
  });
  after(async () => {
    await edge.close();
    await database.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function stored(source: string): Promise<Prediction[]> {
    const registry = fileRegistry();
    const all = await Promise.all((await readAll(edge.log, 'predictions')).map(async ({ value }) => (await registry.decode('predictions', value!)) as Prediction));
    return all.filter((prediction) => prediction.source === source);
  }

  async function everyOutcomeOnce(source: string, command: string, program: string): Promise<void> {
    const network = await breakingNetwork(Number(new URL(edge.url).port), 2_500);
    const KEY = await edge.key('streets', 'operator');
    const { code, stdout, stderr } = await run(command, [program, `ws://127.0.0.1:${network.port}`, source, ...photos], { cwd: folder, env: { KEY } });
    await network.close();
    assert.equal(code, 0, stderr);
    const lines = stdout.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(lines.map(({ sequence }) => sequence), photos.map((_, i) => i));
    assert.ok(lines.every(({ type }) => type === 'result'), JSON.stringify(lines.find(({ type }) => type !== 'result')));
    assert.deepEqual(lines.map(({ image }) => (image as { width: number }).width), photos.map((_, i) => [600, 512, 451][i % 3]), 'each picture has its own answer');
    const sessions = network.asked.map((line) => new URL(line.split(' ')[1]!, 'ws://edge').searchParams.get('session'));
    assert.equal(sessions.length, 3, 'it came again after the refusal, and after the break');
    assert.deepEqual(sessions.map((session) => session !== null), [false, false, true], 'the last time to its session');
    await eventually(async () => (await stored(source)).length >= photos.length, 'the outcomes in the log');
    const predictions = await stored(source);
    assert.deepEqual(new Set(predictions.map(({ tenant }) => tenant)), new Set(['streets']));
    assert.deepEqual(predictions.map(({ frame_id }) => frame_id).toSorted(), lines.map(({ id }) => String(id)).toSorted(), 'each frame once');
  }

  /** A refusal that comes again each time is no reason to come again. */
  async function refusedWithoutKey(command: string, program: string): Promise<void> {
    const { code, stderr } = await run(command, [program, edge.url.replace('http', 'ws'), 'stranger', photos[0]!], { cwd: folder, env: { KEY: 'sac_wrong' } });
    assert.equal(code, 1);
    assert.match(stderr, /401/);
  }

  test('in Node', async () => {
    await everyOutcomeOnce('from-node', process.execPath, 'stream.mjs');
    await refusedWithoutKey(process.execPath, 'stream.mjs');
  });

  test('in Python', { skip: needsPython }, async () => {
    const python = await pythonWith(['websockets==15.0.1'], () => {});
    await everyOutcomeOnce('from-python', python, 'stream.py');
    await refusedWithoutKey(python, 'stream.py');
  });
});
