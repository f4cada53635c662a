/** Pictures of a folder or a glob, in name order. */
import { readFile } from 'node:fs/promises';
import type { Clock } from '../../connectors/ports.ts';
import type { CameraLog, Shot } from './camera-frame.ts';
import { listImages } from './image-files.ts';
import { paced } from './pace.ts';

export interface ImagesOptions {
  readonly source: string;
  readonly path: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly log: CameraLog;
  readonly fps: number;
  readonly loop: boolean;
}

const PROGRESS_EVERY = 100;

/** Each round lists the files anew, so that what was added meanwhile is shown too. A file that can't be read is skipped. */
export async function* imageCamera({ source, path, clock, signal, log, fps, loop }: ImagesOptions): AsyncGenerator<Shot> {
  const pace = paced(clock, signal, fps);
  for (;;) {
    const files = listImages(path);
    // Nothing left to show: looking again at once would keep the processor busy.
    if (files.length === 0) await pace();
    for (const [index, file] of files.entries()) {
      await pace();
      if (signal.aborted) return;
      const image = await readFile(file).catch((error: Error) => {
        log.warn({ source, file, error: error.message }, 'cannot read an image; skipped');
        return null;
      });
      if (image) yield { image, capturedAt: clock.now() };
      const shown = index + 1;
      if (shown % PROGRESS_EVERY === 0 || shown === files.length) {
        log.info({ source, shown, of: files.length }, `${shown} of ${files.length} images offered`);
      }
    }
    if (!loop || signal.aborted) return;
  }
}
