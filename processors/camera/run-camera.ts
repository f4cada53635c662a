/** A source of pictures as a producer into frames.in, like any other producer. */
import { randomUUID } from 'node:crypto';
import type { Clock, LogProducer } from '../../connectors/ports.ts';
import type { CameraCounts, CameraLog, Shot } from './camera-frame.ts';
import { demoCamera } from './demo-camera.ts';
import { imageCamera } from './image-camera.ts';
import { outbox } from './outbox.ts';
import { paced } from './pace.ts';
import type { SourceSpec } from './source-spec.ts';
import { videoCamera } from './video-camera.ts';

export interface CameraOptions {
  readonly spec: SourceSpec;
  /** Stays open: it belongs to the caller. */
  readonly producer: LogProducer;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly log: CameraLog;
  /** Pictures a second. Absent: 10 for demo and images, a video's own. */
  readonly fps?: number | undefined;
  /** Files begin again at their end. Absent: they are shown once. `demo` never ends. */
  readonly loop?: boolean | undefined;
  /**
   * How long the answer to a frame of `demo` or `rtsp` is worth having, in milliseconds. A pipeline slower than the camera
   * then answers the newest frames and records the others as dropped, instead of falling behind for ever. Absent or 0: always.
   */
  readonly liveDeadlineMs?: number | undefined;
  /** Why the pipeline takes nothing at present, or null. Absent: it always does. */
  readonly refusal?: (() => string | null) | undefined;
  /** Kept up to date while the camera runs, for metrics. */
  readonly counts?: CameraCounts;
}

const DEFAULT_FPS = 10;
/** More would only age: a live frame that waited for eight others is no longer live. */
const UNACKNOWLEDGED = 8;

export const noCounts = (): CameraCounts => ({ captured: 0, acknowledged: 0, dropped: 0, refused: 0 });

/**
 * Runs until the source ends or the signal aborts, and answers what became of its pictures. Throws invalid_config when the
 * source can't be read at all. Records: key = source name, value = the encoded picture, headers id, sequence, captured_at, deadline.
 */
export async function runCamera(options: CameraOptions): Promise<CameraCounts> {
  const { spec, producer, clock, signal, log, counts = noCounts() } = options;
  if (spec.kind === 'none') return counts;
  const source = spec.name;
  const live = spec.kind === 'demo' || spec.kind === 'rtsp';
  // Another process may have a camera of this name that starts in the same millisecond: the ids of the two must differ.
  const run = `${clock.now()}-${randomUUID().slice(0, 8)}`;
  const worthMs = live ? (options.liveDeadlineMs ?? 0) : 0;
  const box = outbox({
    source, producer, clock, counts, log,
    refusal: options.refusal,
    limit: UNACKNOWLEDGED,
    whenFull: live ? 'drop-oldest' : 'wait',
  });
  // A push that waits for the log must not hold up the end of the process.
  const close = (): void => void box.close();
  signal.addEventListener('abort', close, { once: true });

  let sequence = 0;
  try {
    for await (const shot of shots(spec, options)) {
      if (signal.aborted) break;
      const pushed = box.push({ ...shot, sequence, id: `${run}-${sequence}`, deadline: worthMs > 0 ? shot.capturedAt + worthMs : null });
      sequence += 1;
      // A live source is not awaited: its pictures come when they come.
      if (!live) await pushed;
    }
    if (!signal.aborted) {
      await box.flush();
      log.info({ source, ...counts }, ending(spec, options));
    }
  } finally {
    signal.removeEventListener('abort', close);
    await box.close();
  }
  return counts;
}

const ending = (spec: SourceSpec, { loop }: CameraOptions): string =>
  spec.kind !== 'demo' && spec.kind !== 'rtsp' && !loop ? 'the source has ended; it was shown once (loop shows it again and again)' : 'the source has ended';

function shots(spec: Exclude<SourceSpec, { kind: 'none' }>, options: CameraOptions): AsyncGenerator<Shot> {
  const { clock, signal, log, fps, loop = false } = options;
  switch (spec.kind) {
    case 'demo':
      return demoShots(clock, signal, fps ?? DEFAULT_FPS);
    case 'images':
      return imageCamera({ source: spec.name, path: spec.path, clock, signal, log, fps: fps ?? DEFAULT_FPS, loop });
    default:
      return videoCamera({ spec, clock, signal, log, fps, loop });
  }
}

async function* demoShots(clock: Clock, signal: AbortSignal, fps: number): AsyncGenerator<Shot> {
  const draw = await demoCamera();
  const pace = paced(clock, signal, fps);
  for (let frame = 0; ; frame++) {
    await pace();
    if (signal.aborted) return;
    const capturedAt = clock.now();
    yield { image: await draw(frame), capturedAt };
  }
}
