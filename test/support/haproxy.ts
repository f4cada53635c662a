/** A real HAProxy for a test, in front of what a test has. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasProgram, skipUnless } from './components.ts';

export const needsHaproxy = skipUnless(hasProgram('haproxy', '-v'), 'HAProxy', 'apt-get install haproxy');

/** Runs with `config` until it is stopped; whether it answers yet is for the caller to ask. */
export function startHaproxy(config: string): { stop(): Promise<void> } {
  const folder = mkdtempSync(join(tmpdir(), 'saccade-haproxy-'));
  const file = join(folder, 'haproxy.cfg');
  writeFileSync(file, config);
  const child = spawn('haproxy', ['-q', '-f', file], { stdio: 'ignore' });
  return {
    async stop() {
      if (child.exitCode === null && child.kill()) await once(child, 'exit');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
