import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import sharp from 'sharp';
import type { SaccadeError } from '../connectors/errors.ts';
import type { Clock } from '../connectors/ports.ts';
import { findFfmpeg } from '../processors/camera/ffmpeg.ts';
import { noCounts, runCamera } from '../processors/camera/run-camera.ts';
import { parseSource } from '../processors/camera/source-spec.ts';
import { collectingProducer, jumpingClock, quiet, realClock, sequences, until } from './support/camera.ts';
import { needsFfmpeg } from './support/ffmpeg.ts';
import { rtspCamera } from './support/rtsp-camera.ts';

const folder = mkdtempSync(join(tmpdir(), 'saccade-video-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** Process ids of every ffmpeg (and its guard) whose command line names `what`. */
function running(what: string): string[] {
  if (!existsSync('/proc/self/cmdline')) {
    const lines = spawnSync('ps', ['-eo', 'pid=,args=']).stdout.toString().split('\n');
    return lines.filter((line) => line.includes(what) && line.includes('image2pipe'));
  }
  return readdirSync('/proc').filter((pid) => {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return /^\d+$/.test(pid) && line.includes(what) && line.includes('image2pipe') && !line.includes('import ');
    } catch {
      return false; // no process, or one that has just ended
    }
  });
}

describe('video', { skip: needsFfmpeg }, () => {
  const video = join(folder, 'bars.mp4');
  const film = (): void => {
    const made = spawnSync(findFfmpeg(), ['-y', '-loglevel', 'error', '-f', 'lavfi', '-i', 'testsrc=size=160x120:rate=20:duration=1', '-c:v', 'mpeg4', video]);
    assert.equal(made.status, 0, `${made.stderr}`);
  };
  test('a file gives every frame once, numbered, decodable', async () => {
    film();
    const { producer, records } = collectingProducer();
    const counts = await runCamera({ spec: parseSource(video), producer, clock: realClock, signal: new AbortController().signal, log: quiet });
    assert.equal(counts.captured, 20);
    assert.equal(counts.acknowledged + counts.dropped, 20);
    assert.deepEqual(sequences(records), sequences(records).toSorted((a, b) => a - b));
    const { format, width, height } = await sharp(records[0]!.value!).metadata();
    assert.deepEqual({ format, width, height }, { format: 'jpeg', width: 160, height: 120 });
    assert.notDeepEqual(records[0]!.value, records.at(-1)!.value);
  });

  test('fps thins it out, loop goes on past the end, the signal ends ffmpeg', async () => {
    film();
    const stop = new AbortController();
    const { producer } = collectingProducer();
    const counts = noCounts();
    const run = runCamera({ spec: parseSource(video), producer, clock: realClock, signal: stop.signal, log: quiet, fps: 5, loop: true, counts });
    await until(() => counts.captured >= 8); // 5 a round
    assert.ok(running(video).length > 0);
    stop.abort();
    await run;
    await until(() => running(video).length === 0);
  });

  test('a file that is no video is refused by name', async () => {
    const broken = join(folder, 'broken.mp4');
    writeFileSync(broken, 'not a video');
    const { producer } = collectingProducer();
    await assert.rejects(
      runCamera({ spec: parseSource(broken), producer, clock: realClock, signal: new AbortController().signal, log: quiet }),
      (error: SaccadeError) => error.code === 'invalid_config' && error.message.includes(`--source ${broken}`),
    );
  });

  test('an RTSP camera gives its pictures, and gives them again after it hung up', async () => {
    const camera = await rtspCamera(findFfmpeg());
    const stop = new AbortController();
    const { producer, records } = collectingProducer();
    const counts = noCounts();
    const run = runCamera({ spec: parseSource(`gate=${camera.url}`), producer, clock: realClock, signal: stop.signal, log: quiet, counts });
    await until(() => counts.acknowledged >= 5);
    camera.hangUp();
    const before = counts.captured;
    await until(() => camera.plays() === 2 && counts.captured >= before + 5);
    stop.abort();
    await run;
    await camera.close();
    const { width, height } = await sharp(records.at(-1)!.value!).metadata();
    assert.deepEqual({ width, height }, { width: 160, height: 120 });
    assert.deepEqual(sequences(records), sequences(records).toSorted((a, b) => a - b));
    assert.equal(new Set(records.map((r) => r.headers!.id)).size, records.length);
    await until(() => running(camera.url).length === 0);
  });

  test('a camera that is away is called again with growing pauses', async () => {
    const stop = new AbortController();
    const clock = jumpingClock();
    let calls = 0;
    const server = createServer((socket: Socket) => {
      socket.on('error', () => undefined).destroy();
      if (++calls === 3) stop.abort();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const warnings: string[] = [];
    const log = { info: () => undefined, warn: (_: unknown, message: string) => void warnings.push(message) };
    const { producer } = collectingProducer();
    // Its watch over silence must not run on jumping time: only the pauses between calls are taken from the test's clock.
    const mixed: Clock = { now: realClock.now, sleep: (ms, signal) => (ms >= 4000 ? realClock : clock).sleep(ms, signal) };
    await runCamera({ spec: parseSource(`gate=rtsp://127.0.0.1:${port}/x`), producer, clock: mixed, signal: stop.signal, log });
    server.close();
    assert.equal(calls, 3);
    assert.deepEqual(warnings, ['the camera is away; calling it again', 'the camera is away; calling it again']);
  });

  test('kill -9 of the process leaves no ffmpeg behind, even one whose camera is silent', async () => {
    // Accepts the connection and never says a word.
    const sockets: Socket[] = [];
    const server = createServer((socket) => void sockets.push(socket.on('error', () => undefined)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `rtsp://127.0.0.1:${(server.address() as { port: number }).port}/silent`;
    const script = `
      import { runFfmpeg, findFfmpeg } from ${JSON.stringify(new URL('../processors/camera/ffmpeg.ts', import.meta.url).href)};
      runFfmpeg(findFfmpeg(), ['-rtsp_transport', 'tcp', '-i', '${url}', '-f', 'image2pipe', '-c:v', 'mjpeg', 'pipe:1']);
      setInterval(() => undefined, 1000);`;
    const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { stdio: 'inherit' });
    await until(() => sockets.length === 1 && running(url).length > 0);
    parent.kill('SIGKILL');
    await until(() => !alive(parent.pid!) && running(url).length === 0);
    server.close();
    for (const socket of sockets) socket.destroy();
  });
});
