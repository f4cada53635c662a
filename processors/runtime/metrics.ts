/** What every stage reports, because the runtime does it for them. Units are in the names, as Prometheus asks. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { FusedWait } from './fused-wait.ts';

export interface StageMetrics {
  records(outcome: 'emitted' | 'dropped' | 'dead_lettered' | 'retried', count?: number): void;
  /** `source` null: nobody knows whose it was. */
  dropped(reason: string, source: string | null): void;
  deadLettered(code: string): void;
  batch(records: number): void;
  phase(phase: 'queue' | 'decode' | 'process' | 'deliver', seconds: number): void;
  inFlight(records: number, bytes: number): void;
  rebalanced(): void;
  /** Records that retention deleted before the stage had processed them. */
  expired(count: number): void;
  paused(paused: boolean): void;
  /** Work rests from now on, for this reason. */
  rests(reason: 'memory' | 'environment' | 'halted'): void;
  halted(): void;
}

export interface RuntimeMetrics {
  readonly registry: Registry;
  stage(name: string): StageMetrics;
  /** Called at each scrape; answers the lag of the partitions held. */
  lag(stage: string, read: () => Promise<readonly { topic: string; partition: number; lag: number }[]>): void;
  /** Called at each scrape; answers what fused stages wait for. */
  waits(read: () => readonly Pick<FusedWait, 'stage' | 'topic' | 'records'>[]): void;
}

/** Names come from producers; each is a time series that never goes away. */
const mostSources = 100;

function boundedLabel(most: number): (name: string) => string {
  const known = new Set<string>();
  return (name) => {
    if (known.size < most) known.add(name);
    return known.has(name) ? name : 'other';
  };
}

export function runtimeMetrics(registry: Registry): RuntimeMetrics {
  const registers = [registry];
  const counter = (name: string, help: string, labelNames: string[]) => new Counter({ name, help, labelNames, registers });
  const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames: ['stage'], registers });
  const records = counter('saccade_stage_records_total', 'Records by how they left the stage.', ['stage', 'outcome']);
  const drops = counter('saccade_stage_dropped_records_total', 'Records dropped on purpose, by reason.', ['stage', 'reason']);
  const sourceDrops = counter('saccade_source_dropped_records_total', `Records dropped on purpose, by source: the first ${mostSources} that drop have a label of their own, the rest are 'other'.`, ['source', 'reason']);
  const labelOf = boundedLabel(mostSources);
  const deadLetters = counter('saccade_stage_dead_letters_total', 'Records sent to the dead letters, by error code.', ['stage', 'code']);
  const expired = counter('saccade_stage_expired_records_total', 'Records that retention deleted before they were processed.', ['stage']);
  const rebalances = counter('saccade_stage_rebalances_total', 'Generations of the consumer group joined.', ['stage']);
  const batchRecords = new Histogram({
    name: 'saccade_stage_batch_records',
    help: 'Records in a batch.',
    labelNames: ['stage'],
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 512, 2048],
    registers,
  });
  const phases = new Histogram({
    name: 'saccade_stage_phase_seconds',
    help: 'Seconds by phase: queue (a record waits), decode and process (a batch), deliver (outputs acknowledged).',
    labelNames: ['stage', 'phase'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  const inFlightRecords = gauge('saccade_stage_in_flight_records', 'Records taken over and not finished.');
  const inFlightBytes = gauge('saccade_stage_in_flight_bytes', 'Bytes taken over and not finished.');
  const rests = counter('saccade_stage_pauses_total', 'Times that work has come to rest: memory (the stage is behind), environment (waiting to try again), halted.', ['stage', 'reason']);
  const halted = gauge('saccade_stage_halted', '1 once the stage has halted because too much of its input is dead-lettered.');
  const paused = gauge('saccade_stage_paused', '1 while fetching is paused because the stage is behind.');

  const lagReaders = new Map<string, () => Promise<readonly { topic: string; partition: number; lag: number }[]>>();
  new Gauge({
    name: 'saccade_stage_lag_records',
    help: 'Records in the topic that this process has not finished, by partition held.',
    labelNames: ['stage', 'topic', 'partition'],
    registers,
    async collect() {
      this.reset();
      await Promise.all(
        [...lagReaders].map(async ([stage, read]) => {
          // A scrape must answer while the broker is away: the gauge is then absent, not wrong.
          for (const { topic, partition, lag } of await read().catch(() => [])) this.set({ stage, topic, partition }, lag);
        }),
      );
    },
  });

  let waiting: () => readonly Pick<FusedWait, 'stage' | 'topic' | 'records'>[] = () => [];
  new Gauge({
    name: 'saccade_fused_wait_records',
    help: 'Records in a topic that fusing bypasses, while what is handed over in memory waits for them to be worked off; absent while nothing waits.',
    labelNames: ['stage', 'topic'],
    registers,
    collect() {
      this.reset();
      for (const { stage, topic, records: left } of waiting()) this.set({ stage, topic }, left);
    },
  });

  return {
    registry,
    waits: (read) => void (waiting = read),
    lag: (stage, read) => void lagReaders.set(stage, read),
    stage: (stage) => ({
      records: (outcome, count = 1) => records.inc({ stage, outcome }, count),
      dropped(reason, source) {
        drops.inc({ stage, reason });
        sourceDrops.inc({ source: labelOf(source ?? 'unknown'), reason });
      },
      deadLettered: (code) => deadLetters.inc({ stage, code }),
      batch: (count) => batchRecords.observe({ stage }, count),
      phase: (phase, seconds) => phases.observe({ stage, phase }, seconds),
      inFlight(count, bytes) {
        inFlightRecords.set({ stage }, count);
        inFlightBytes.set({ stage }, bytes);
      },
      rebalanced: () => rebalances.inc({ stage }),
      expired: (count) => expired.inc({ stage }, count),
      rests: (reason) => rests.inc({ stage, reason }),
      halted: () => halted.set({ stage }, 1),
      paused: (is) => paused.set({ stage }, is ? 1 : 0),
    }),
  };
}
