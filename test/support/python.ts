/** A Python with what the tests of the API need. */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { pythonWith } from '../../deploy/local/python.ts';
import { skipUnless } from './components.ts';

// The packages need a Python that can make environments; its absence skips what needs it, and CI installs it.
const found = spawnSync('python3', ['-c', 'import venv, ensurepip']).status === 0;
export const needsPython = skipUnless(found, 'Python 3 with venv', 'on Debian, apt-get install python3-venv');

/** Of a file with one package a line. */
export const pythonFor = (requirements: string): Promise<string> =>
  pythonWith(readFileSync(requirements, 'utf8').split('\n').filter((line) => line !== ''), () => {});

/** Runs to its end, beside this process; answers what it wrote. */
export async function run(command: string, args: readonly string[], { cwd, env = {} }: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {}): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd, env: { ...process.env, ...env } });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) child[name].on('data', (bytes: Buffer) => (said[name] += bytes.toString()));
  const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  return { code, ...said };
}
