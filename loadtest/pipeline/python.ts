import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
export const peers = fileURLToPath(new URL('../peers', import.meta.url));

/** The interpreter of a virtual environment with the peers' packages, made on first use. null, and said why, where there is no Python. */
export async function python(folder: string, say: (line: string) => void): Promise<string | null> {
  const interpreter = join(folder, 'bin', 'python');
  const requirements = join(peers, 'requirements.txt');
  const stamp = join(folder, 'installed.txt');
  const wanted = readFileSync(requirements, 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return interpreter;
  try {
    say('making a virtual environment for the Python peers (once)');
    await run('python3', ['-m', 'venv', folder]);
    await run(interpreter, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements], { maxBuffer: 1e8 });
    writeFileSync(stamp, wanted);
    return interpreter;
  } catch (error) {
    say(`!! no Python peers: ${error instanceof Error ? error.message.trim().split('\n').at(-1) : String(error)}`);
    return null;
  }
}
