/** What is true of the log at any moment, kept as it is written: what was offered, what each record is, what has come of it. */
import type { LogRecord, TopicPartition } from '../../../connectors/ports.ts';
import { predictionId } from '../../../schemas/ids.ts';
import type { Frame, Prediction, Tensor } from '../../../schemas/records.ts';
import { admissionTopic, overflowTopic } from '../../../schemas/topics.ts';
import { culpritFor, type Truth } from '../offer/kinds.ts';
import { models } from './scenario.ts';
import { refusedVersion, type Table } from './table.ts';
import { decodeValue } from './wire.ts';

/** A record of one of our topics, read. */
export interface Read {
  readonly record: LogRecord;
  /** Of the frame in frames, frames.overflow and tensors.*, of the prediction in predictions and replies; null when unreadable. */
  readonly id: string | null;
  readonly truth: Truth | null;
  /** The model of a tensor or a prediction. */
  readonly model: string | null;
  readonly prediction: Prediction | null;
  /** No record with this id lay in the topic before. */
  readonly first: boolean;
}

/** Enough of a record to find it. */
type Place = TopicPartition & { readonly offset: number };

export interface Facts {
  /** A frame that lies in frames.in now. */
  accepted(record: LogRecord, truth: Omit<Truth, 'order'>): void;
  /** A frame that is about to be written to `frames` by an edge. */
  announce(truth: Omit<Truth, 'order'>): void;
  appended(record: LogRecord): Read;
  readOf(record: Place): Read;
  truths(): Iterable<Truth>;
  /** What a prediction id stands for, if anything was ever asked that has it. */
  asked(id: string): { readonly truth: Truth; readonly model: string } | undefined;
  has(topic: string, id: string): boolean;
  /** The dead letters of the record in that place. */
  lettersOf(record: LogRecord): readonly LogRecord[];
  /** Whether all that the record's stage must leave behind (dead letters apart) is durable. */
  resultsDurable(record: LogRecord): boolean;
  /** Whether the record itself must be a dead letter of its topic. */
  mustBeLetter(record: LogRecord): boolean;
}

const place = ({ topic, partition, offset }: Place): string => `${topic}/${partition}/${offset}`;

const isFrames = ({ topic }: LogRecord): boolean => topic === 'frames' || topic === overflowTopic;

export function createFacts(table: Table): Facts {
  const truths = new Map<string, Truth>();
  const orders = new Map<string, number>();
  const asked = new Map<string, { truth: Truth; model: string }>();
  const reads = new Map<string, Read>();
  const seen = new Map<string, Set<string>>();
  const letters = new Map<string, LogRecord[]>();

  const has = (topic: string, id: string): boolean => seen.get(topic)?.has(id) ?? false;
  const lettersOf = (record: LogRecord): readonly LogRecord[] => letters.get(place(record)) ?? [];

  function announce(given: Omit<Truth, 'order'>): Truth {
    const known = truths.get(given.frameId);
    if (known) return known;
    const order = orders.get(given.source) ?? 0;
    orders.set(given.source, order + 1);
    const truth: Truth = { ...given, order };
    truths.set(truth.frameId, truth);
    for (const model of truth.models) asked.set(predictionId(truth.frameId, model), { truth, model });
    return truth;
  }

  function idAndModel(record: LogRecord): { id: string; frameId: string; model: string | null; prediction: Prediction | null } | null {
    if (record.value === null || record.topic === 'frames.in' || record.topic === admissionTopic || record.topic.endsWith('.dlq')) return null;
    try {
      const value = decodeValue(record.value);
      if (isFrames(record)) return { id: (value as Frame).id, frameId: (value as Frame).id, model: null, prediction: null };
      if (record.topic.startsWith('tensors.')) {
        const tensor = value as Tensor;
        return { id: tensor.frame_id, frameId: tensor.frame_id, model: tensor.model, prediction: null };
      }
      const prediction = value as Prediction;
      return { id: prediction.id, frameId: prediction.frame_id, model: prediction.model, prediction };
    } catch {
      return null;
    }
  }

  const readOf = (record: Place): Read => reads.get(place(record))!;

  function inferIsAnswered(truth: Truth, model: string): boolean {
    return has(`tensors.${model}`, truth.frameId) || has('predictions', predictionId(truth.frameId, model));
  }

  return {
    announce,
    accepted(record, given) {
      reads.set(place(record), { record, id: null, truth: announce(given), model: null, prediction: null, first: true });
    },
    appended(record) {
      if (record.topic.endsWith('.dlq')) {
        const { headers } = record;
        const of = `${headers['saccade-topic']}/${headers['saccade-partition']}/${headers['saccade-offset']}`;
        letters.set(of, [...(letters.get(of) ?? []), record]);
      }
      const found = idAndModel(record);
      const ids = seen.get(record.topic) ?? new Set();
      seen.set(record.topic, ids);
      const read: Read = {
        record,
        id: found?.id ?? null,
        truth: (found && truths.get(found.frameId)) ?? null,
        model: found?.model ?? null,
        prediction: found?.prediction ?? null,
        first: found !== null && !ids.has(found.id),
      };
      if (found) ids.add(found.id);
      reads.set(place(record), read);
      return read;
    },
    readOf,
    truths: () => truths.values(),
    asked: (id) => asked.get(id),
    has,
    lettersOf,
    resultsDurable(record) {
      const { id, truth, model, prediction } = readOf(record);
      if (truth === null) return true;
      const told = (): boolean => truth.models.every((each) => has('predictions', predictionId(truth.frameId, each)));
      if (record.topic === 'frames.in') return truth.kind.at === 'ingest' ? told() : has('frames', truth.frameId) || has(overflowTopic, truth.frameId);
      if (isFrames(record)) return truth.models.every((each) => inferIsAnswered(truth, each));
      if (model !== null && prediction === null) return has('predictions', predictionId(truth.frameId, model));
      return prediction?.version === refusedVersion || table.has(id!);
    },
    mustBeLetter(record) {
      const { id, truth, model, prediction } = readOf(record);
      if (record.topic === admissionTopic) return false;
      if (id === null && record.topic !== 'frames.in') return true;
      if (truth === null) return false;
      if (record.topic === 'frames.in') return truth.kind.at === 'ingest';
      if (prediction !== null) return prediction.version === refusedVersion;
      // Past its deadline it may have been dropped before anybody saw that it is at fault.
      if (truth.deadline !== null) return false;
      if (model !== null) return culpritFor(truth, model) === 'infer';
      if (truth.kind.at === 'preprocess') return true;
      // A fused chain's dead letter is the chain's input; alone, infer's is the tensor.
      return models.some((each) => truth.models.includes(each) && culpritFor(truth, each) === 'infer' && !has(`tensors.${each}`, truth.frameId));
    },
  };
}
