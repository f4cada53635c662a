/** Python for the few jobs whose libraries exist nowhere else: an environment of its own for each list of packages, made once. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { lockFile } from './lock-file.mjs';

/** Onto a process: its output line by line, its end as a promise. Throws with the last lines when it fails. */
export async function runProgram(command: string, args: readonly string[], onLine: (line: string) => void = () => {}): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const last: string[] = [];
  const follow = (stream: NodeJS.ReadableStream): void => {
    let rest = '';
    stream.on('data', (bytes: Buffer) => {
      const lines = (rest + bytes.toString()).split('\n');
      rest = lines.pop()!;
      for (const line of lines) {
        onLine(line);
        last.push(line);
        if (last.length > 20) last.shift();
      }
    });
  };
  follow(child.stdout);
  follow(child.stderr);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`${command} ended with ${code}:\n${last.join('\n')}`);
}

/**
 * Path of a Python that has these packages (`name==version`, so that the same list is the same environment for ever), in
 * the user's cache. Throws when there is no Python 3 with venv, or the packages cannot be installed.
 */
export async function pythonWith(packages: readonly string[], say: (line: string) => void): Promise<string> {
  const root = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'saccade');
  const folder = join(root, `python-${createHash('sha256').update(packages.toSorted().join('\n')).digest('hex').slice(0, 12)}`);
  const python = join(folder, 'bin', 'python');
  if (existsSync(python)) return python;
  mkdirSync(root, { recursive: true });
  const release = await lockFile(`${folder}.lock`, say);
  try {
    if (existsSync(python)) return python;
    say(`making a Python environment with ${packages.join(', ')}, once, in ${folder}`);
    // Moved into place only when whole: an environment that was interrupted must not pass for one.
    const unfinished = `${folder}.new`;
    rmSync(unfinished, { recursive: true, force: true });
    await runProgram('python3', ['-m', 'venv', unfinished]).catch((error: Error) => {
      throw new Error(`Python 3 with venv is needed (on Debian: python3-venv): ${error.message}`);
    });
    await runProgram(join(unfinished, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages]);
    renameSync(unfinished, folder);
    return python;
  } finally {
    release();
  }
}
