/** How topics are created, by the settings. */
import { recordLimitBytes, type TopicDefaults } from '../../schemas/topics.ts';
import { maskPolicyOf } from '../masking.ts';
import { masksAnybody } from '../mask/policy.ts';
import type { Settings } from '../settings.ts';

export const topicDefaults = (s: Settings): TopicDefaults => ({
  partitions: s.SACCADE_PARTITIONS,
  replication: s.SACCADE_REPLICATION,
  minInSync: Math.min(2, s.SACCADE_REPLICATION),
  maxRecordBytes: recordLimitBytes,
  rawHours: masksAnybody(maskPolicyOf(s)) ? s.SACCADE_MASK_RAW_HOURS : undefined,
});
