/** The cameras of a process: each a producer into frames.in, all ended together. */
import type { Registry } from 'prom-client';
import type { Clock, LogProducer } from '../../connectors/ports.ts';
import type { CameraLog } from './camera-frame.ts';
import { cameraMetrics } from './metrics.ts';
import { noCounts, runCamera } from './run-camera.ts';
import type { SourceSpec } from './source-spec.ts';

export interface CamerasOptions {
  readonly specs: readonly SourceSpec[];
  /** Stays open: it belongs to the caller. */
  readonly producer: LogProducer;
  readonly clock: Clock;
  readonly log: CameraLog;
  readonly metrics: Registry;
  readonly fps: number | undefined;
  readonly loop: boolean;
  readonly liveDeadlineMs: number;
  /** Why the pipeline takes nothing at present, or null: cameras then wait, as when the log is away. */
  readonly refusal?: () => string | null;
}

export interface Cameras {
  readonly names: readonly string[];
  stop(): Promise<void>;
}

export function startCameras({ specs, metrics, ...shared }: CamerasOptions): Cameras {
  const wanted = specs.filter((spec) => spec.kind !== 'none');
  const counts = new Map(wanted.map((spec) => [spec.name, noCounts()]));
  cameraMetrics(metrics, counts);
  const stopping = new AbortController();
  const running = wanted.map(async (spec) => {
    try {
      await runCamera({ ...shared, spec, signal: stopping.signal, counts: counts.get(spec.name)! });
    } catch (error) {
      // One camera that cannot be read must not take the others, or the pipeline, with it.
      shared.log.warn({ source: spec.name, error: error instanceof Error ? error.message : String(error) }, 'the camera has ended');
    }
  });
  return {
    names: wanted.map(({ name }) => name),
    async stop() {
      stopping.abort();
      await Promise.all(running);
    },
  };
}
