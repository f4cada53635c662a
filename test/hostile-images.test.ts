/** Broken on purpose: nothing that arrives may end the process, hang it or make it grow. In a process of its own, so that an abort is seen. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, test } from 'node:test';
import type { HostileReport } from './reference/hostile-images.ts';

const script = fileURLToPath(new URL('./reference/hostile-images.ts', import.meta.url));
const clear = new Set(['payload_empty', 'unsupported_media_type', 'too_many_pixels', 'undecodable_image']);
const mb = 1024 * 1024;

async function attack(seed: number, count: number): Promise<HostileReport> {
  const child = spawn(process.execPath, ['--import', 'tsx', '--expose-gc', script, String(seed), String(count)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, err, [code, signal]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  assert.equal(code, 0, `it ended with ${code ?? signal}:\n${out}${err}`);
  return JSON.parse(out.trim().split('\n').at(-1)!) as HostileReport;
}

describe('500 mutated pictures', () => {
  test('each ends in tensors or in a clear error, the process lives, its memory stays', async () => {
    const { count, whole, errors, fast, rss } = await attack(1, 500);
    const failed = Object.values(errors).reduce((a, b) => a + b, 0);
    assert.equal(whole + failed, count);
    assert.deepEqual(Object.keys(errors).filter((code) => !clear.has(code)), []);
    // Otherwise the mutations are too tame, too wild, or no longer reach libjpeg-turbo.
    assert.ok(whole > 50 && failed > 100 && fast > 100, JSON.stringify({ whole, errors, fast }));
    // From the second of five parts on: by then every path has been taken.
    assert.ok(rss.at(-1)! < rss[1]! + 60 * mb, `megabytes by part: ${rss.map((bytes) => Math.round(bytes / mb)).join(', ')}`);
  });
});
