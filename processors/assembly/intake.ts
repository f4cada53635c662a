/** What is taken in, and what is not: quotas of sources and lanes, and whether there is room behind. */
import { overflowTopic } from '../../schemas/topics.ts';
import { createAdmission } from '../admission.ts';
import { ingestConfig } from '../ingest/config.ts';
import { nearRetention } from '../ingest/near-retention.ts';
import { stagesToWatch } from '../topology.ts';
import type { Foundation } from './foundation.ts';

export function openIntake({ settings: s, log, producer, clock, models, topicsOf, logger, ending }: Foundation) {
  const names = (): string[] => models.all().map(({ card }) => card.name);
  const tenantTopics = [...s.SACCADE_TENANT_TOPICS.keys()];
  const { SACCADE_QUOTA_FPS: framesPerSecond, SACCADE_QUOTA_BURST: burst } = s;
  const admission = createAdmission({
    log,
    producer,
    clock,
    models: names,
    tenantTopics,
    rules: framesPerSecond === 0 ? null : { framesPerSecond, burst, calmMs: ingestConfig.parse({}).calmMs },
    told: (source, lane) => logger.info({ stage: 'ingest', source, lane }, lane === 'frames' ? 'the source keeps to its quota again' : 'the source is above its quota'),
  });
  ending.add('admission', () => admission.close());
  const acceptance = nearRetention({
    log,
    clock,
    groups() {
      const kept = new Map(topicsOf(names()).map(({ name, retentionMs }) => [name, retentionMs]));
      return stagesToWatch(names(), tenantTopics).map((watched) => ({ ...watched, retentionMs: kept.get(watched.topic)!, own: tenantTopics.includes(watched.topic) }));
    },
  });
  return {
    admission,
    /** Watches until the process ends. */
    watch(): void {
      const watching = new AbortController();
      void acceptance.watch(watching.signal);
      ending.add('retention watch', () => watching.abort());
    },
    /** Why nothing more is taken from cameras, or null. */
    refusal: acceptance.refusal,
    degraded: acceptance.lateInputs,
    /** Why no request is taken, or null. */
    refusalOfRequests: () => (producer.held('frames') || producer.held(overflowTopic) ? 'Partitions are being added; frames are taken again in a moment.' : acceptance.refusal()),
  };
}

export type Intake = ReturnType<typeof openIntake>;
