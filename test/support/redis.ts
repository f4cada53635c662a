/** A real redis-server for a test: on a free port, with a password, holding nothing on disk. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../chaos/world/free-port.ts';
import { hasProgram, skipUnless } from './components.ts';
import { eventually } from './pipeline.ts';

export const needsRedis = skipUnless(hasProgram('redis-server', '--version'), 'Redis', 'install redis-server');
export const needsRedisAndOpenssl = needsRedis || skipUnless(hasProgram('openssl', 'version'), 'openssl', 'install openssl');

export interface TestRedis {
  readonly url: string;
  readonly password: string;
  readonly child: ChildProcess;
  /** An administrator's command, by redis-cli. */
  cli(...args: string[]): string;
  /** kill -9. */
  kill(): Promise<void>;
  /** Comes up again on the same port, empty. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface TestRedisOptions {
  /** Files of a certificate: TLS only then. */
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly args?: readonly string[];
}

export async function startRedis({ tls, args = [] }: TestRedisOptions = {}): Promise<TestRedis> {
  const folder = mkdtempSync(join(tmpdir(), 'saccade-redis-'));
  const port = await freePort();
  const password = 'correct horse';
  const listen = tls
    ? ['--port', '0', '--tls-port', `${port}`, '--tls-cert-file', tls.cert, '--tls-key-file', tls.key, '--tls-ca-cert-file', tls.cert, '--tls-auth-clients', 'no']
    : ['--port', `${port}`];
  const cli = (...command: string[]): string =>
    execFileSync('redis-cli', ['-p', `${port}`, ...(tls ? ['--tls', '--cacert', tls.cert] : []), ...command], {
      env: { ...process.env, REDISCLI_AUTH: password },
      stdio: ['ignore', 'pipe', 'ignore'],
    }).toString();

  async function start(): Promise<ChildProcess> {
    const child = spawn('redis-server', [...listen, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--requirepass', password, ...args], { stdio: 'ignore' });
    await eventually(() => {
      if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`);
      try {
        return cli('ping').startsWith('PONG');
      } catch {
        return false;
      }
    }, 'redis-server to answer');
    return child;
  }

  let child = await start();
  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
  return {
    url: `${tls ? 'rediss' : 'redis'}://localhost:${port}`,
    password,
    get child() {
      return child;
    },
    cli,
    kill,
    async restart() {
      await kill();
      child = await start();
    },
    async stop() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A self-signed certificate for localhost, as PEM files in a new folder. */
export function makeCertificate(): { readonly cert: string; readonly key: string; readonly folder: string } {
  const folder = mkdtempSync(join(tmpdir(), 'saccade-tls-'));
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert],
    { stdio: 'ignore' },
  );
  return { cert, key, folder };
}
