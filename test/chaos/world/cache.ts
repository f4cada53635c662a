/** A Redis of the run's own, where redis-server is installed and the pipeline knows a setting for it. */
import { spawnSync } from 'node:child_process';
import { startLeashed, type Leashed } from '../../../deploy/local/leash.ts';
import { settingsTable } from '../../../processors/settings.ts';
import { freePort } from './free-port.ts';

/** Why there is no cache to take away; null when there is one. */
export function whyNoCache(): string | null {
  if (!('REDIS_URL' in settingsTable)) return 'the pipeline has no cache in Redis yet';
  return spawnSync('redis-server', ['--version']).status === 0 ? null : 'redis-server is not installed (Debian: apt-get install redis-server)';
}

export async function startRedis(folder: string): Promise<{ readonly port: number; readonly child: Leashed }> {
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--maxmemory', '64mb', '--maxmemory-policy', 'allkeys-lru'];
  return { port, child: await startLeashed({ name: 'redis', command: 'redis-server', args, folder }) };
}
