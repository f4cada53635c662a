/** The clients of the README, as they stand there: each sends pictures over a network that breaks once, and has every outcome once. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pythonWith } from '../deploy/local/python.ts';
import { type EdgeUnderTest, startEdgeUnderTest } from './support/edge.ts';
import { needsPython } from './support/python.ts';

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

/** Passes everything on, and cuts the first connection once so many bytes have come back. */
async function breakingNetwork(port: number, afterBytes: number): Promise<{ port: number; connections(): number; close(): Promise<void> }> {
  let connections = 0;
  const server: Server = createServer((client) => {
    const first = connections++ === 0;
    const edge = connect(port, '127.0.0.1');
    let came = 0;
    edge.on('data', (bytes) => {
      came += bytes.length;
      if (!first || came <= afterBytes) client.write(bytes);
      else for (const socket of [client, edge]) socket.resetAndDestroy();
    });
    client.pipe(edge);
    for (const [one, other] of [[client, edge], [edge, client]] as const) one.on('error', () => {}).on('close', () => other.destroy());
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    port: (server.address() as { port: number }).port,
    connections: () => connections,
    close: () => new Promise((closed) => server.close(() => closed())),
  };
}

function run(command: string, args: readonly string[]): Promise<{ code: number | null; lines: Record<string, unknown>[]; errors: string }> {
  const child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let [output, errors] = ['', ''];
  child.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (errors += bytes.toString()));
  const limit = setTimeout(() => child.kill('SIGKILL'), 90_000);
  return new Promise((ended) =>
    child.on('close', (code) => {
      clearTimeout(limit);
      ended({ code, lines: output.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>), errors });
    }),
  );
}

describe("the README's clients of /v1/stream", () => {
  let edge: EdgeUnderTest;
  before(async () => {
    edge = await startEdgeUnderTest();
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(resolve('node_modules/ws'), join(folder, 'node_modules', 'ws'));
    writeFileSync(join(folder, 'stream.mjs'), programOf('// stream.mjs'));
    writeFileSync(join(folder, 'stream.py'), programOf('# stream.py'));
  });
  after(async () => {
    await edge.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function everyOutcomeOnce(source: string, command: string, program: string): Promise<void> {
    const network = await breakingNetwork(Number(new URL(edge.url).port), 2_500);
    const { code, lines, errors } = await run(command, [program, `ws://127.0.0.1:${network.port}`, source, ...photos]);
    await network.close();
    assert.equal(code, 0, errors);
    assert.ok(network.connections() >= 2, 'it came back');
    assert.deepEqual(lines.map(({ sequence }) => sequence), photos.map((_, i) => i));
    assert.ok(lines.every(({ type }) => type === 'result'), JSON.stringify(lines.find(({ type }) => type !== 'result')));
    assert.deepEqual(lines.map(({ image }) => (image as { width: number }).width), photos.map((_, i) => [600, 512, 451][i % 3]), 'each picture has its own answer');
  }

  test('in Node', () => everyOutcomeOnce('from-node', process.execPath, 'stream.mjs'));

  test('in Python', { skip: needsPython }, async () => {
    const python = await pythonWith(['websockets==15.0.1'], () => {});
    await everyOutcomeOnce('from-python', python, 'stream.py');
  });
});
