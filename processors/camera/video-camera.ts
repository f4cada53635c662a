/** Pictures of a video file or an RTSP camera, by way of ffmpeg. */
import type { Clock } from '../../connectors/ports.ts';
import { SaccadeError } from '../../connectors/errors.ts';
import type { CameraLog, Shot } from './camera-frame.ts';
import { findFfmpeg, runFfmpeg } from './ffmpeg.ts';
import { jpegSplitter } from './jpeg-splitter.ts';
import type { SourceSpec } from './source-spec.ts';

export interface VideoOptions {
  readonly spec: Extract<SourceSpec, { kind: 'video' | 'rtsp' }>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly log: CameraLog;
  /** Pictures a second; absent: as many as the video has. */
  readonly fps?: number | undefined;
  /** A file begins again at its end. */
  readonly loop: boolean;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
/** A camera that sends nothing for so long is called again: TCP alone would wait for many minutes. */
const SILENCE_MS = 15_000;

/** A file ends (or throws invalid_config when ffmpeg can't read it); a camera is called again and again until the signal. */
export async function* videoCamera(options: VideoOptions): AsyncGenerator<Shot> {
  const { spec, clock, signal, log } = options;
  const ffmpeg = findFfmpeg();
  let failures = 0;
  while (!signal.aborted) {
    let shots = 0;
    const run = play(ffmpeg, options);
    try {
      for (;;) {
        const next = await run.next();
        if (next.done) {
          if (signal.aborted) return;
          if (spec.kind === 'video') return endOfFile(spec.path, next.value, shots);
          failures = shots > 0 ? 1 : failures + 1;
          const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1)) * (0.5 + Math.random() / 2);
          log.warn({ source: spec.name, said: next.value.said, pause_ms: Math.round(pause) }, 'the camera is away; calling it again');
          await clock.sleep(pause, signal);
          break;
        }
        if (shots++ === 0 && failures > 0) log.info({ source: spec.name }, 'the camera is back');
        yield next.value;
      }
    } finally {
      // Whoever stops reading early must not leave ffmpeg behind.
      await run.return({ code: null, said: '' });
    }
  }
}

interface End {
  readonly code: number | null;
  readonly said: string;
}

function endOfFile(path: string, { code, said }: End, shots: number): void {
  if (code !== 0 && shots === 0) throw new SaccadeError('invalid_config', `--source ${path}: ffmpeg cannot read it: ${said}`);
}

/** One run of ffmpeg; returns how it ended. */
async function* play(path: string, options: VideoOptions): AsyncGenerator<Shot, End> {
  const { clock, signal, spec } = options;
  const child = runFfmpeg(path, ffmpegArguments(options));
  const split = jpegSplitter();
  const done = new AbortController();
  let heard = clock.now();
  const stop = (): void => {
    child.stop();
    child.stdout.destroy();
  };
  signal.addEventListener('abort', stop, { once: true });
  const silence = spec.kind === 'rtsp' ? watchSilence(clock, () => heard, stop, done.signal) : null;
  try {
    if (signal.aborted) stop();
    for await (const chunk of child.stdout) {
      heard = clock.now();
      for (const image of split(chunk as Buffer)) yield { image, capturedAt: heard };
    }
  } catch (error) {
    // A stream destroyed by stop() ends early, as meant.
    if (!child.stdout.destroyed) throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    done.abort();
    stop();
    await silence;
  }
  return child.ended;
}

async function watchSilence(clock: Clock, heard: () => number, stop: () => void, done: AbortSignal): Promise<void> {
  while (!done.aborted) {
    await clock.sleep(SILENCE_MS / 3, done);
    if (clock.now() - heard() > SILENCE_MS) return stop();
  }
}

function ffmpegArguments({ spec, fps, loop }: VideoOptions): string[] {
  const input =
    spec.kind === 'rtsp'
      ? // Over UDP a lost packet smears the picture; TCP waits for it instead.
        ['-rtsp_transport', 'tcp', '-fflags', 'nobuffer', '-i', spec.url]
      : // At the pace it was filmed, as a camera would send it.
        ['-re', ...(loop ? ['-stream_loop', '-1'] : []), '-i', spec.path];
  const rate = fps === undefined ? [] : ['-r', `${fps}`];
  return ['-hide_banner', '-loglevel', 'error', ...input, '-map', '0:v:0', ...rate, '-c:v', 'mjpeg', '-q:v', '4', '-pix_fmt', 'yuvj420p', '-f', 'image2pipe', 'pipe:1'];
}
