/** Ties ingest's quota and lanes to the log: where the groups stand, and the table of who is in the overflow lane. */
import type { Clock, Log, LogProducer } from '../connectors/ports.ts';
import { admissionTopic, ingestOf, inputTopic, overflowTopic, tensorTopic } from '../schemas/topics.ts';
import { type Lanes, type LaneTable, lanes } from './ingest/lanes.ts';
import { overflowStage } from './ingest/overflow.ts';
import { type LanePartition, type Passage, passage } from './ingest/passage.ts';
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
  /** Names, read anew at each look. */
  readonly models: () => readonly string[];
  /** Inputs besides frames.in. */
  readonly tenantTopics?: readonly string[];
  /** Null: no quota; what lies in the overflow lane is still read, and its sources come back. */
  readonly rules: QuotaRules | null;
  /** Names this process as a reader of the table; a random name unless given. */
  readonly reader?: string;
  readonly told?: (source: string, lane: 'frames' | 'frames.overflow') => void;
}

export interface Admission {
  /** Null: none. Requests over HTTP are a source like others. */
  readonly quota: Quota | null;
  /** Of what comes by this input. */
  lanesOf(topic: string): Lanes;
  /** The stage as the reader of the overflow lane. */
  overflow<T>(stage: Stage<T>): Stage<T>;
  /** Lets go what waits in the overflow lane: the pipeline can stop without waiting for room. */
  release(): void;
  close(): Promise<void>;
}

const unlimited: Quota = { take: () => true, calm: () => true, size: 0 };

export function createAdmission({ log, producer, clock, models, tenantTopics = [], rules, reader, told }: AdmissionOptions): Admission {
  let released = false;
  let opening: Promise<ControlTable> | null = null;
  const limited = rules === null ? null : quota(rules);

  const inputs = [inputTopic, ...tenantTopics];
  const passageOf = (input: string, stage: string, topic: string): Passage =>
    passage({ committed: () => log.committed(groupOf(ingestOf(input)), input), lane: (): Promise<LanePartition[]> => unfinished(log, groupOf(stage), topic) });
  const byInput = <T>(make: (input: string) => T): ReadonlyMap<string, T> => new Map(inputs.map((input) => [input, make(input)]));
  const usual = byInput((input) => passageOf(input, 'preprocess', 'frames'));

  const chosen = byInput((input) =>
    lanes({
      quota: quotaOf(input, limited ?? unlimited),
      table: openTable,
      passage: passageOf(input, 'preprocess.overflow', overflowTopic),
      clock,
      ...(told ? { told: (source: string, lane) => told(input === inputTopic ? source : `${input}/${source}`, lane) } : {}),
      ...(input === inputTopic ? {} : { prefix: `${input}/` }),
    }),
  );

  /** When ingest has its first frame: not every process has an ingest. */
  function openTable(): Promise<LaneTable> {
    opening ??= followTable({ log, producer, clock, topic: admissionTopic, ...(reader ? { reader } : {}), changed: (key, value) => chosen.forEach((each) => each.tableChanged(key, value)) }).catch((error: unknown) => {
      opening = null;
      throw error;
    });
    return opening;
  }

  const behind = (): (readonly [stage: string, topic: string])[] => [['preprocess', 'frames'], ...models().map((model) => [`infer.${model}`, tensorTopic(model)] as const)];
  const shared = room({ clock, look: () => Promise.all(behind().map(async ([stage, topic]) => sum(await unfinished(log, groupOf(stage), topic)))) });

  return {
    quota: limited,
    lanesOf: (topic) => chosen.get(topic)!,
    overflow: (stage) => overflowStage(stage, { passage: (topic) => usual.get(topic) ?? null, room: shared, clock, closing: () => released }),
    release() {
      released = true;
    },
    async close() {
      released = true;
      await (await opening?.catch(() => null))?.close();
    },
  };
}

/** Two sources of one name that come by two inputs do not use up each other's quota, nor does one that is named like another of elsewhere. */
const quotaOf = (input: string, { take, calm }: Quota): Pick<Quota, 'take' | 'calm'> => ({ take: (source, at) => take(`${input}/${source}`, at), calm: (source, at) => calm(`${input}/${source}`, at) });

const sum = (partitions: readonly Unfinished[]): Behind => ({
  lag: partitions.reduce((all, { from, end }) => all + Math.max(0, end - from), 0),
  done: partitions.reduce((all, { from }) => all + from, 0),
});
