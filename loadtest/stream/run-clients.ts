/** Starts the clients of a run in a process of their own. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Load, Seen } from './client.ts';

const client = fileURLToPath(new URL('./client.ts', import.meta.url));

/** `counting` is told when the warm-up is over. `ms`: of each frame that was answered. */
export async function runClients(load: Load, counting: () => void = () => {}): Promise<Seen & { readonly ms: readonly number[] }> {
  const child = spawn(process.execPath, ['--import', 'tsx', client, JSON.stringify(load)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (bytes: Buffer) => {
    output += bytes.toString();
    if (bytes.toString().includes('counting')) counting();
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0) throw new SaccadeError('internal', `The clients ended with ${code}.`);
  return JSON.parse(output.trim().split('\n').at(-1)!) as Seen & { ms: number[] };
}
