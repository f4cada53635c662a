/** Broken on purpose: nothing that arrives may end the process, hang it or make it grow. In a process of its own, so that an abort is seen. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, test } from 'node:test';
import type { HostileReport } from './reference/hostile-images.ts';

const script = fileURLToPath(new URL('./reference/hostile-images.ts', import.meta.url));
/** Bytes that begin like Avro's wire format, and are not, are no record. */
const clear = new Set(['payload_empty', 'unsupported_media_type', 'too_many_pixels', 'undecodable_image', 'undecodable_record']);
const mb = 1024 * 1024;
/** What may come on top over 500 pictures: half a tensor of each would be more. Of resident memory malloc keeps now more, now less. */
const noise = { rss: 32 * mb, held: 8 * mb };

async function attack(seed: number, count: number): Promise<HostileReport> {
  const child = spawn(process.execPath, ['--import', 'tsx', '--expose-gc', script, String(seed), String(count)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, err, [code, signal]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  assert.equal(code, 0, `it ended with ${code ?? signal}:\n${out}${err}`);
  return JSON.parse(out.trim().split('\n').at(-1)!) as HostileReport;
}

describe('1,000 mutated pictures through ingest, preprocess and infer', () => {
  test('each ends in an answer or in a dead letter with a clear reason, the process lives, its memory stays', async () => {
    const { count, answered, refused, wrong, fast, strange, ...memory } = await attack(1, 1000);
    assert.deepEqual(wrong, []);
    const failed = Object.values(refused).reduce((a, b) => a + b, 0);
    assert.equal(answered + failed, count);
    assert.deepEqual(Object.keys(refused).sort(), [...clear].sort());
    // Otherwise the mutations are too tame, too wild, or no longer reach libjpeg-turbo.
    assert.ok(answered > 250 && failed > 400 && fast > 300 && strange > 80, JSON.stringify({ answered, refused, fast, strange }));
    // Over the second half: by then every path has been taken. The lowest of three each, since one may be taken at a bad moment.
    for (const kind of ['rss', 'held'] as const) {
      const [half, end] = [memory[kind].slice(4, 7), memory[kind].slice(-3)].map((some) => Math.min(...some)) as [number, number];
      assert.ok(end < half + noise[kind], `${kind}, megabytes by part: ${memory[kind].map((bytes) => (bytes / mb).toFixed(1)).join(', ')}`);
    }
  });
});
