/** A real PostgreSQL for a test: a cluster of its own on a free port, holding nothing afterwards. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chmodSync, chownSync, copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../chaos/world/free-port.ts';
import { skipUnless } from './components.ts';
import { eventually } from './pipeline.ts';

/** Debian keeps the server's programs out of the path. */
function programs(): string | null {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).filter((version) => existsSync(join(root, version, 'bin', 'initdb'))) : [];
  const newest = versions.map(Number).sort((a, b) => b - a)[0];
  return newest === undefined ? null : join(root, `${newest}`, 'bin');
}
const bin = programs();
export const needsPostgres = skipUnless(bin !== null, 'PostgreSQL', 'install postgresql');

export interface TestPostgres {
  /** With its login. */
  readonly url: string;
  /** Cut off at once, as a crash would. */
  kill(): Promise<void>;
  /** Comes up again on the same port with what it held. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** The server refuses to run as root: there it runs as nobody. */
const as = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

export interface TestPostgresOptions {
  /** Files of a certificate for localhost: nobody is let in without TLS then. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

export async function startTestPostgres({ tls }: TestPostgresOptions = {}): Promise<TestPostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'saccade-postgres-'));
  const data = join(folder, 'data');
  const password = 'correct horse';
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, password);
  chmodSync(folder, 0o755);
  if ('uid' in as) for (const path of [folder, passwordFile]) chownSync(path, as.uid!, as.gid!);
  execFileSync(join(bin!, 'initdb'), ['-D', data, '-U', 'tester', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '--no-sync', '-E', 'UTF8', '--locale=C'], { ...as, cwd: folder, stdio: 'ignore' });
  const port = await freePort();
  if (tls) requireTls(data, tls);

  async function start(): Promise<ChildProcess> {
    const child = spawn(join(bin!, 'postgres'), ['-D', data, '-p', `${port}`, '-h', '127.0.0.1', '-k', folder, '-F'], { ...as, cwd: folder, stdio: 'ignore' });
    await eventually(() => {
      if (child.exitCode !== null) throw new Error(`postgres ended with ${child.exitCode}`);
      try {
        execFileSync(join(bin!, 'pg_isready'), ['-h', '127.0.0.1', '-p', `${port}`], { stdio: 'ignore' });
        return true;
      } catch {
        return false;
      }
    }, 'PostgreSQL to answer');
    return child;
  }

  let child = await start();
  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGQUIT');
    await gone;
  }
  return {
    url: `postgres://tester:${encodeURIComponent(password)}@${tls ? 'localhost' : '127.0.0.1'}:${port}/postgres`,
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

/** The server takes a key only if nobody else can read it. */
function requireTls(data: string, { cert, key }: { readonly cert: string; readonly key: string }): void {
  for (const [from, to] of [[cert, 'server.crt'], [key, 'server.key']] as const) {
    copyFileSync(from, join(data, to));
    chmodSync(join(data, to), 0o600);
    if ('uid' in as) chownSync(join(data, to), as.uid!, as.gid!);
  }
  appendFileSync(join(data, 'postgresql.conf'), 'ssl = on\n');
  writeFileSync(join(data, 'pg_hba.conf'), 'hostssl all all 127.0.0.1/32 scram-sha-256\n');
}
