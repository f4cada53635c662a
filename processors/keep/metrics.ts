import { Counter, type Registry } from 'prom-client';
import type { KeepMetrics } from './keeper.ts';

export function keepMetrics(registry: Registry): KeepMetrics {
  const frames = new Counter({
    name: 'saccade_kept_frames_total',
    help: 'Frames chosen to be kept, by reason: kept, gone from the log by then, or failed since something was away.',
    labelNames: ['reason', 'outcome'],
    registers: [registry],
  });
  const bytes = new Counter({ name: 'saccade_kept_bytes_total', help: 'Bytes of the pictures that were kept.', registers: [registry] });
  return {
    frame(reason, outcome, size) {
      frames.inc({ reason, outcome });
      bytes.inc(size);
    },
  };
}
