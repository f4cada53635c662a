/** What a process that joins a running pipeline leaves to those that run: their port and their cameras. */
import type { RunFile } from '../deploy/local/run-file.ts';
import type { Config } from './config.ts';

/**
 * The port to listen on; 0: any free one. The environment and .env are the whole pipeline's: of its processes only one can
 * have that PORT. A joiner takes it for an edge that nobody serves yet; a flag always counts, it was meant for this process.
 */
export function portOf({ settings: s, given, byFlag }: Config, running: RunFile | null): number {
  const edge = s.SACCADE_STAGES.includes('edge');
  if (byFlag.has('PORT')) return s.PORT;
  // Without the edge the port is only for health and metrics.
  if (!running) return edge || given.has('PORT') ? s.PORT : 0;
  const opsPort = running.ops ? new URL(running.ops.url).port : null;
  const taken = running.edge !== null || opsPort === String(s.PORT);
  return edge && !taken ? s.PORT : 0;
}

/** The cameras to open, as --source names them. One that runs already, or the demo, must not come along with every added stage. */
export function camerasOf({ settings: s, given, byFlag }: Config, running: RunFile | null): readonly string[] {
  if (byFlag.has('SACCADE_SOURCE')) return s.SACCADE_SOURCE;
  if (running) return [];
  return given.has('SACCADE_STAGES') && !given.has('SACCADE_SOURCE') ? [] : s.SACCADE_SOURCE;
}
