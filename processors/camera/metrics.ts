import { Counter, type Registry } from 'prom-client';
import type { CameraCounts } from './camera-frame.ts';

/** Frames of each camera by what became of them, read at each scrape from the counts that the cameras keep. */
export function cameraMetrics(registry: Registry, cameras: ReadonlyMap<string, CameraCounts>): void {
  new Counter({
    name: 'saccade_camera_frames_total',
    help: 'Frames of the cameras of this process: captured, acknowledged by the log, dropped before that (live sources), refused.',
    labelNames: ['source', 'outcome'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [source, counts] of cameras) {
        for (const [outcome, count] of Object.entries(counts)) this.inc({ source, outcome }, count);
      }
    },
  });
}
