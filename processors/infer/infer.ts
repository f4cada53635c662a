/** Infer: tensors of one model into predictions. One stage for each model; they share an engine. */
import { SaccadeError, asSaccadeError } from '../../connectors/errors.ts';
import type { AnswerCache, Clock } from '../../connectors/ports.ts';
import { predictionId } from '../../schemas/ids.ts';
import type { Model } from '../../schemas/model-card.ts';
import type { Answer, Prediction, Tensor } from '../../schemas/records.ts';
import { unanswered } from '../../schemas/unanswered.ts';
import { emit, failed, reject, type BatchPolicy, type Emitted, type Input, type Outcome, type Stage } from '../stage.ts';
import { bestLabels, embeddingBytes } from './classification.ts';
import { findBoxes } from './detection.ts';
import type { Engine, RowResult } from './engine.ts';

export interface InferOptions {
  readonly model: Model;
  /** Started, and stopped after this stage, by whoever made it. */
  readonly engine: Engine;
  readonly clock: Clock;
  /** Where answers to tensors with a `content` are kept. */
  readonly answers?: AnswerCache | null;
  readonly batch?: Partial<BatchPolicy>;
}

/** A record that has killed this many workers is itself at fault, not the engine. */
const deadlyAttempts = 3;

/**
 * Outputs: `predictions` (key = source) and, for a frame somebody waits for, `replies`.
 * timings_ms adds to the tensor's: `tensor_queue` from the tensor's record to the runtime taking it over, `infer` the batch
 * from its start to its last answer, `run` the model alone. A tensor that brings its answer along is passed on, in its turn.
 */
export function inferStage({ model, engine, clock, answers = null, batch }: InferOptions): Stage<Tensor> {
  const { card } = model;

  async function process(inputs: readonly Input<Tensor>[], signal: AbortSignal): Promise<Outcome[]> {
    const started = performance.now();
    const faults = inputs.map(({ value }) => faultOf(value));
    const results = new Map<Input<Tensor>, RowResult>();
    const run = async (chosen: readonly Input<Tensor>[], alone: boolean): Promise<void> => {
      const rows = await engine.run(card.name, chosen.map(({ value }) => value.pixels), { signal, alone });
      chosen.forEach((input, i) => results.set(input, rows[i]!));
    };
    const sound = inputs.filter(({ value }, i) => faults[i] === null && value.answer === null);
    // What comes again may be what killed a worker: it goes alone, so that it takes nobody with it.
    const suspects = sound.filter(({ attempt }) => attempt > 1);
    await Promise.all([run(sound.filter(({ attempt }) => attempt <= 1), false), run(suspects, true)]);
    const batchMs = performance.now() - started;
    return inputs.map((input, i) => {
      const { answer } = input.value;
      if (faults[i]) return reject(faults[i]);
      return answer ? emit(...addressed(input.value, predictionOf(input, answer, {}))) : outcomeOf(input, results.get(input)!, batchMs);
    });
  }

  function outcomeOf(input: Input<Tensor>, result: RowResult, batchMs: number): Outcome {
    if (!result.ok) {
      const deadly = result.crashed && input.attempt >= deadlyAttempts;
      return deadly ? reject(new SaccadeError('inference_failed', `It ended a worker ${input.attempt} times.`, result.error)) : failed(result.error);
    }
    try {
      const { value: tensor } = input;
      const answer = answerOf(result.outputs, tensor);
      if (tensor.content !== null && answers) {
        const { image_width, image_height } = tensor.geometry;
        answers.keep({ content: tensor.content, model }, { ...answer, image_width, image_height, quality: tensor.quality });
      }
      return emit(...addressed(tensor, predictionOf(input, answer, { infer: batchMs, run: result.ms })));
    } catch (error) {
      return failed(asSaccadeError(error, 'inference_failed'));
    }
  }

  function answerOf(outputs: (RowResult & { ok: true })['outputs'], { geometry }: Tensor): Answer {
    const { version, task } = card;
    const answer: Answer = { version, task, labels: [], detections: [], embedding: null };
    if (task === 'classification') {
      answer.labels = bestLabels(outputs.probabilities!, model);
      if (outputs.embedding) answer.embedding = embeddingBytes(outputs.embedding);
    } else {
      answer.detections = task === 'faces' ? findBoxes(outputs.faces!, 5, model, geometry) : findBoxes(outputs.detections!, 6, model, geometry);
    }
    return answer;
  }

  function predictionOf({ value: tensor, receivedAt, origin }: Input<Tensor>, answer: Answer, ms: Record<string, number>): Prediction {
    const { geometry } = tensor;
    return {
      id: predictionId(tensor.frame_id, tensor.model),
      frame_id: tensor.frame_id,
      tenant: tensor.tenant,
      source: tensor.source,
      sequence: tensor.sequence,
      captured_at: tensor.captured_at,
      accepted_at: tensor.accepted_at,
      completed_at: clock.now(),
      status: 'ok',
      stage: null,
      reason: null,
      detail: null,
      model: tensor.model,
      image_width: geometry.image_width,
      image_height: geometry.image_height,
      ...answer,
      quality: tensor.quality,
      timings_ms: { ...tensor.timings_ms, tensor_queue: Math.max(0, receivedAt - origin.timestamp), ...ms },
      request_id: tensor.reply?.request_id ?? null,
      cached: tensor.answer !== null,
    };
  }

  function faultOf({ model: name, height, width, pixels, geometry, answer }: Tensor): SaccadeError | null {
    const { input } = card;
    const positive = [geometry.image_width, geometry.image_height, geometry.width, geometry.height];
    if (name !== card.name) return new SaccadeError('invalid_field', `model is ${name}, this is ${card.name}.`);
    if (height !== input.height || width !== input.width) {
      return new SaccadeError('invalid_field', `height x width is ${height} x ${width}, ${card.name} takes ${input.height} x ${input.width}.`);
    }
    if (answer === null && pixels.length !== height * width * 3) {
      return new SaccadeError('invalid_field', `pixels has ${pixels.length} bytes, not ${height} x ${width} x 3.`);
    }
    if (!positive.every((value) => value > 0 && Number.isFinite(value)) || !Number.isFinite(geometry.x) || !Number.isFinite(geometry.y)) {
      return new SaccadeError('invalid_field', 'geometry is not a rectangle of a picture.');
    }
    return null;
  }

  return {
    name: `infer.${card.name}`,
    // A batch ends when its last row does, so where rows are run one by one a larger batch only delays its first rows. One
    // batch more than there are workers lies ready for whoever is free first.
    batch: { records: engine.rowsPerRun, bytes: 32 * 1024 * 1024, waitMs: 0, concurrency: engine.workers + 1, ...batch },
    process,
    deadline: ({ value }) => value.deadline,
    account: ({ value: tensor }, failure) => addressed(tensor, unanswered(tensor.frame_id, tensor, tensor.model, failure)),
    trouble: () => engine.trouble(),
  };
}

function addressed({ source, reply }: Tensor, value: Prediction): Emitted[] {
  const record: Emitted = { output: 'predictions', key: source, value };
  return reply ? [record, { output: 'replies', key: reply.request_id, partition: reply.partition, value }] : [record];
}
