/**
 * Within a source, frames appear for the first time in each topic in the order in which they were accepted. In predictions
 * that holds for each model and for each stage that answers: a refusal of ingest need not wait for inference.
 */
import { predictionId } from '../../../schemas/ids.ts';
import type { Prediction } from '../../../schemas/records.ts';
import { overflowTopic } from '../../../schemas/topics.ts';
import type { Evidence, Invariant } from './invariant.ts';
import { placeOf } from './invariant.ts';

/** Each holds its part of a source in order, whatever comes of it. */
const lanes = new Map([['frames', overflowTopic], [overflowTopic, 'frames']]);

export function sourceOrder({ scenario, facts }: Evidence): Invariant {
  const latest = new Map<string, number>();

  return {
    name: 'source-order',
    appended({ record, truth, model, prediction, first }) {
      const { topic } = record;
      if (!first || truth === null || topic === 'replies') return null;
      // A frame that is offered again may take the other lane; it has its place already.
      const other = lanes.get(topic);
      if (other !== undefined && facts.has(other, truth.frameId)) return null;
      // Redelivered after its deadline a frame takes the other way out, however early its first way began.
      if (!lanes.has(topic) && truth.deadline !== null) return null;
      // Of the two lanes, each opens what is fused behind it for itself.
      if (!lanes.has(topic) && scenario.mixed && scenario.quota !== null) return null;
      // It had been handed over in memory, and has come again since.
      if (model !== null && prediction === null && facts.has('predictions', predictionId(truth.frameId, model))) return null;
      const lane = [topic, truth.source, model, prediction && stageOf(prediction)].join(' ');
      const before = latest.get(lane) ?? -1;
      if (truth.order <= before) return `${placeOf(record)} is frame ${truth.order} of ${truth.source}, after frame ${before} (${lane})`;
      latest.set(lane, truth.order);
      return null;
    },
  };
}

const stageOf = ({ stage }: Prediction): string => (stage === null ? 'infer' : stage.split('.')[0]!);
