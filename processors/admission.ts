/** Ties ingest's quota and lanes to the log: where the groups stand, and the table of who is in the overflow lane. */
import type { Clock, Log, LogProducer } from '../connectors/ports.ts';
import { admissionTopic, overflowTopic, tensorTopic } from '../schemas/topics.ts';
import { type Lanes, type LaneTable, lanes } from './ingest/lanes.ts';
import { overflowStage } from './ingest/overflow.ts';
import { type LanePartition, passage } from './ingest/passage.ts';
import { type Quota, quota, type QuotaRules } from './ingest/quota.ts';
import { type Behind, room } from './ingest/room.ts';
import { type ControlTable, followTable } from './runtime/control-table.ts';
import { type Unfinished, unfinished } from './runtime/lag.ts';
import type { Stage } from './stage.ts';
import { groupOf } from './topology.ts';

export interface AdmissionOptions {
  readonly log: Log;
  readonly producer: LogProducer;
  readonly clock: Clock;
  readonly models: readonly string[];
  /** Null: no quota; what lies in the overflow lane is still read, and its sources come back. */
  readonly rules: QuotaRules | null;
  /** Names this process as a reader of the table; a random name unless given. */
  readonly reader?: string;
  readonly told?: (source: string, lane: 'frames' | 'frames.overflow') => void;
}

export interface Admission {
  /** Null: none. Requests over HTTP are a source like others. */
  readonly quota: Quota | null;
  readonly lanes: Lanes;
  /** The stage as the reader of the overflow lane. */
  overflow<T>(stage: Stage<T>): Stage<T>;
  /** Lets go what waits in the overflow lane: the pipeline can stop without waiting for room. */
  release(): void;
  close(): Promise<void>;
}

const unlimited: Quota = { take: () => true, calm: () => true, size: 0 };

export function createAdmission({ log, producer, clock, models, rules, reader, told }: AdmissionOptions): Admission {
  let released = false;
  let opening: Promise<ControlTable> | null = null;
  const limited = rules === null ? null : quota(rules);

  const committed = () => log.committed(groupOf('ingest'), 'frames.in');
  const laneOf = (stage: string, topic: string) => passage({ committed, lane: (): Promise<LanePartition[]> => unfinished(log, groupOf(stage), topic) });

  const chosen = lanes({
    quota: limited ?? unlimited,
    table: openTable,
    passage: laneOf('preprocess.overflow', overflowTopic),
    clock,
    ...(told ? { told } : {}),
  });

  /** When ingest has its first frame: not every process has an ingest. */
  function openTable(): Promise<LaneTable> {
    opening ??= followTable({ log, producer, clock, topic: admissionTopic, ...(reader ? { reader } : {}), changed: (key, value) => chosen.tableChanged(key, value) }).catch((error: unknown) => {
      opening = null;
      throw error;
    });
    return opening;
  }

  const behind: readonly (readonly [stage: string, topic: string])[] = [['preprocess', 'frames'], ...models.map((model) => [`infer.${model}`, tensorTopic(model)] as const)];
  const shared = room({ clock, look: () => Promise.all(behind.map(async ([stage, topic]) => sum(await unfinished(log, groupOf(stage), topic)))) });

  return {
    quota: limited,
    lanes: chosen,
    overflow: (stage) => overflowStage(stage, { passage: laneOf('preprocess', 'frames'), room: shared, clock, closing: () => released }),
    release() {
      released = true;
    },
    async close() {
      released = true;
      await (await opening?.catch(() => null))?.close();
    },
  };
}

const sum = (partitions: readonly Unfinished[]): Behind => ({
  lag: partitions.reduce((all, { from, end }) => all + Math.max(0, end - from), 0),
  done: partitions.reduce((all, { from }) => all + from, 0),
});
