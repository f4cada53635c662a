import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pythonWith } from '../../deploy/local/python.ts';

export const peers = fileURLToPath(new URL('../peers', import.meta.url));

/** The interpreter of an environment with the peers' packages, made on first use. null, and said why, where there is no Python. */
export async function python(say: (line: string) => void): Promise<string | null> {
  const packages = readFileSync(join(peers, 'requirements.txt'), 'utf8').split('\n').filter((line) => line !== '');
  try {
    return await pythonWith(packages, say);
  } catch (error) {
    say(`!! no Python peers: ${error instanceof Error ? error.message.trim().split('\n').at(-1) : String(error)}`);
    return null;
  }
}
