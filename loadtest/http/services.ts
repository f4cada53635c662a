/** The services that answer directly, as a team would write them: each on the same model file, started and ended by the bench. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SaccadeError } from '../../connectors/errors.ts';
import { pythonWith } from '../../deploy/local/python.ts';
import { peers } from '../pipeline/python.ts';
import { openConnection, requestOf } from './connection.ts';

export interface Service {
  readonly name: string;
  readonly url: string;
  readonly path: string;
  /** Of the process that its others descend from. */
  readonly pid: number;
  stop(): Promise<void>;
}

type Command = (port: number, bin: string) => readonly [string, ...string[]];

/** Two processes that infer, as Saccade's engine has two threads here. */
const commands: Readonly<Record<string, Command>> = {
  mosec: (port, bin) => [join(bin, 'python'), 'http_mosec.py', '--address', '127.0.0.1', '--port', String(port)],
  fastapi: (port, bin) => [join(bin, 'python'), '-m', 'uvicorn', 'http_fastapi:app', '--workers', '2', '--port', String(port), '--no-access-log', '--log-level', 'warning'],
  litserve: (port, bin) => [join(bin, 'python'), 'http_litserve.py', String(port)],
  bentoml: (port, bin) => [join(bin, 'python'), '-m', 'bentoml', 'serve', 'http_bentoml:Infer', '--host', '127.0.0.1', '--port', String(port)],
};
export const peerNames = Object.keys(commands);

const patienceMs = 60_000;

/** Those of the peers that are named; none, and said why, where there is no Python. Throws engine_unavailable with what one printed when it does not come up. */
export async function startPeers(names: readonly string[], model: string, picture: Buffer, say: (line: string) => void): Promise<Service[]> {
  if (names.length === 0) return [];
  let python: string;
  try {
    python = await pythonWith(readFileSync(join(peers, 'http-requirements.txt'), 'utf8').split('\n').filter((line) => line !== ''), say);
  } catch (error) {
    say(`!! no Python peers: ${(error as Error).message.trim().split('\n').at(-1)}`);
    return [];
  }
  const started: Service[] = [];
  try {
    for (const name of names) started.push(await startPeer(name, dirname(python), model, picture));
  } catch (error) {
    await Promise.all(started.map((each) => each.stop()));
    throw error;
  }
  return started;
}

async function startPeer(name: string, bin: string, model: string, picture: Buffer): Promise<Service> {
  const port = await freePort();
  const [program, ...args] = commands[name]!(port, bin);
  // A group of its own: they are several processes, and all of them end.
  const child = spawn(program, args, { cwd: peers, detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, MODEL_FOLDER: model, BENTOML_DO_NOT_TRACK: 'true', PYTHONDONTWRITEBYTECODE: '1' } });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (printed = (printed + chunk.toString()).slice(-4000)));
  const ended = once(child, 'exit');
  const group = (signal: NodeJS.Signals): void => {
    try {
      process.kill(-child.pid!, signal);
    } catch {
      // It has gone.
    }
  };
  const orphans = (): void => group('SIGKILL');
  process.once('exit', orphans);
  async function stop(): Promise<void> {
    group('SIGTERM');
    await Promise.race([ended, sleep(5_000, undefined, { ref: false })]);
    group('SIGKILL');
    process.removeListener('exit', orphans);
  }
  const service = { name, url: `http://127.0.0.1:${port}`, path: '/infer', pid: child.pid!, stop };
  try {
    await answering(service, picture, () => child.exitCode !== null || child.signalCode !== null);
  } catch (error) {
    await stop();
    throw new SaccadeError('engine_unavailable', `${name} does not answer (${(error as Error).message}):\n${printed}`);
  }
  return service;
}

async function answering({ url, path }: Service, picture: Buffer, gone: () => boolean): Promise<void> {
  const request = requestOf(path, 'image/jpeg', [picture]);
  const connection = openConnection(url);
  try {
    for (const until = Date.now() + patienceMs; ; await sleep(200)) {
      const reply = await connection.ask(request).catch((error: Error) => error);
      if (!(reply instanceof Error) && reply.status === 200) return;
      if (!gone() && Date.now() < until) continue;
      throw reply instanceof Error ? reply : new Error(`${reply.status} ${reply.body.toString().slice(0, 300)}`);
    }
  } finally {
    connection.close();
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
