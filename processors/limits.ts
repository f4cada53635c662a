/** The runtime's limits, as the settings give them. */
import { recordLimitBytes, recordOverheadBytes } from '../schemas/topics.ts';
import type { RuntimeLimits } from './runtime/runner.ts';
import type { Settings } from './settings.ts';

export const runtimeLimits = (s: Settings): RuntimeLimits => ({
  inFlightBytes: s.SACCADE_IN_FLIGHT_MB * 1024 * 1024,
  fetchBytes: 16 * 1024 * 1024,
  fetchBytesPerPartition: 4 * 1024 * 1024,
  maxRecordBytes: recordLimitBytes - recordOverheadBytes,
  commitIntervalMs: 200,
  // Zero switches it off, as it does the next one.
  deadLetters:
    s.SACCADE_DEAD_LETTER_LIMIT > 0
      ? { share: s.SACCADE_DEAD_LETTER_LIMIT / 100, windowMs: s.SACCADE_DEAD_LETTER_WINDOW_S * 1000, least: s.SACCADE_DEAD_LETTER_LEAST }
      : null,
  stuckAfterMs: s.SACCADE_STUCK_AFTER_S * 1000,
});
