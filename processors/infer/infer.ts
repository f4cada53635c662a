/** Infer: tensors of one model into predictions. One stage for each model; they share an engine. */
import { SaccadeError, asSaccadeError } from '../../connectors/errors.ts';
import type { AnswerCache, Clock } from '../../connectors/ports.ts';
import type { Model } from '../../schemas/model-card.ts';
import { ofFrame } from '../../schemas/of-frame.ts';
import type { Answer, Prediction, Tensor } from '../../schemas/records.ts';
import { unanswered } from '../../schemas/unanswered.ts';
import { drop, emit, failed, reject, retry, type BatchPolicy, type Emitted, type Guard, type Input, type Outcome, type Stage, unguarded } from '../stage.ts';
import { answersOf } from './answers.ts';
import type { Engine, RowInput, RowResult } from './engine.ts';
import { flights, type Landed } from './flights.ts';
import type { Served, Serving } from './serving.ts';
import type { RunPolicy } from './tuning.ts';

export interface InferOptions {
  readonly serving: Serving;
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
 * Attempts, some seconds apart by then, after which a tensor that no version answers is given up: whoever unloads a model waits
 * until all that was let in for it is answered, and a branch that is fused behind preprocess cannot be left standing.
 */
const patienceWithNone = 6;
/** Records that lie ready in the engine's queue: enough for its turns among sources and models to mean something. */
const recordsInHand = 64;

type Answered = Landed & { readonly by: Served };

/**
 * Outputs: `predictions` (key = source) and, for a frame somebody waits for, `replies`.
 * timings_ms adds to the tensor's: `tensor_queue` from the tensor's record to the runtime taking it over, `infer` the batch
 * from its start to its last answer, `run` the model alone. A tensor that brings its answer along is passed on, in its turn.
 */
export function inferStage({ serving, engine, clock, answers = null, batch }: InferOptions): Stage<Tensor> {
  const { name } = serving;
  const join = flights({ clock, urgent });

  async function process(inputs: readonly Input<Tensor>[], signal: AbortSignal, guard: Guard = unguarded): Promise<Outcome[]> {
    const started = performance.now();
    if (serving.idle) return inputs.map((input) => unanswerable(input, new SaccadeError('unknown_model', name)));
    const by = serving.current();
    const faults = inputs.map(({ value }) => faultOf(value, by.model));
    const answered = new Map<Input<Tensor>, Answered>();
    const run = async (chosen: readonly Input<Tensor>[], who: Served, alone: boolean): Promise<void> => {
      if (chosen.length === 0) return;
      const infer = (rows: readonly Input<Tensor>[]) => guard(rows, () => engine.run(who.model, rows.map(({ value }) => rowOf(value)), { signal, alone }));
      const landed = alone ? (await infer(chosen)).map((result) => ({ result, joined: false })) : await join(who.model, chosen, infer);
      chosen.forEach((input, i) => answered.set(input, { by: who, ...landed[i]! }));
    };
    const sound = inputs.filter(({ value }, i) => faults[i] === null && value.answer === null);
    // What comes again may be what killed a worker: it goes alone, so that it takes nobody with it.
    const suspects = sound.filter(({ attempt }) => attempt > 1);
    await Promise.all([run(sound.filter(({ attempt }) => attempt <= 1), by, false), run(suspects, by, true)]);
    for (const [input, { result }] of answered) {
      if (result.ok) serving.answered();
      else if (result.crashed) serving.crashed(input.attempt === 1);
    }
    const deadly = sound.filter((input) => input.attempt >= deadlyAttempts && crashed(answered.get(input)!.result));
    // It may be the model and not the record.
    const second = deadly.length > 0 ? await serving.second() : null;
    if (second) await run(deadly, second, true);
    const batchMs = performance.now() - started;
    return inputs.map((input, i) => {
      const { answer } = input.value;
      if (faults[i]) return reject(faults[i]);
      return answer ? emit(...addressed(input.value, predictionOf(input, answer, answer.version === by.model.card.version ? by.insteadOf : null, true, {}))) : outcomeOf(input, answered.get(input)!, batchMs);
    });
  }

  function outcomeOf(input: Input<Tensor>, { by, result, joined }: Answered, batchMs: number): Outcome {
    if (!result.ok) {
      if (result.error.code === 'deadline_exceeded') return drop('deadline');
      // Of a batch that took its version just before another one took over.
      if (result.error.code === 'unknown_model') return unanswerable(input, result.error);
      const deadly = result.crashed && input.attempt >= deadlyAttempts;
      return deadly ? reject(new SaccadeError('inference_failed', `It ended a worker ${input.attempt} times.`, result.error)) : failed(result.error);
    }
    try {
      const { value: tensor } = input;
      const { version, task } = by.model.card;
      const answer: Answer = { version, task, ...answersOf(result.outputs, by.model, tensor.geometry) };
      if (tensor.content !== null && answers && !joined) {
        const { image_width, image_height } = tensor.geometry;
        answers.keep({ content: tensor.content, model: by.model }, { ...answer, image_width, image_height, quality: tensor.quality });
      }
      return emit(...addressed(tensor, predictionOf(input, answer, by.insteadOf, joined, { infer: batchMs, ...(joined ? {} : { run: result.ms }) })));
    } catch (error) {
      return failed(asSaccadeError(error, 'inference_failed'));
    }
  }

  function predictionOf({ value: tensor, receivedAt, origin }: Input<Tensor>, answer: Answer, insteadOf: string | null, cached: boolean, ms: Record<string, number>): Prediction {
    const { geometry } = tensor;
    return {
      ...ofFrame(tensor.frame_id, tensor, tensor.model),
      completed_at: clock.now(),
      status: 'ok',
      stage: null,
      reason: null,
      detail: null,
      fallback_for: insteadOf,
      image_width: geometry.image_width,
      image_height: geometry.image_height,
      ...answer,
      quality: tensor.quality,
      timings_ms: { ...tensor.timings_ms, tensor_queue: Math.max(0, receivedAt - origin.timestamp), ...ms },
      cached,
    };
  }

  // A branch that is fused behind preprocess outlives its model.
  const policy = (): Pick<RunPolicy, 'rows' | 'delayMs'> => (serving.idle ? { rows: 1, delayMs: 0 } : engine.about(serving.current().model).policy);
  const rowBytes = (): number => {
    if (serving.idle) return 1;
    const { input } = serving.current().model.card;
    return input.height * input.width * 3;
  };

  return {
    name: `infer.${name}`,
    // A batch ends when its last row does, so it holds no more than a run. Many of them at once, so that the engine, which
    // knows who waits, has something to choose from. Read anew each time: another version may run in other sizes.
    batch: {
      get records() {
        return policy().rows;
      },
      get waitMs() {
        return policy().delayMs;
      },
      get concurrency() {
        return Math.max(1, Math.floor(Math.min(Math.max(recordsInHand, (engine.workers + 1) * policy().rows), engine.room(rowBytes())) / policy().rows));
      },
      bytes: 32 * 1024 * 1024,
      ...batch,
    },
    process,
    deadline: ({ value }) => value.deadline,
    account: ({ value: tensor }, failure) => addressed(tensor, unanswered(tensor.frame_id, tensor, tensor.model, failure)),
    trouble: () => engine.trouble(),
  };
}

/** The sender named a model that was served: this process is between two states of it. */
const unanswerable = ({ attempt }: Input<Tensor>, error: SaccadeError): Outcome =>
  attempt < patienceWithNone ? retry(new SaccadeError('engine_unavailable', `${error.detail} does not answer here.`, error)) : reject(error);

const crashed = (result: RowResult): boolean => !result.ok && result.crashed;

/** Somebody waits, and not for ever. */
const urgent = ({ reply, deadline }: Tensor): boolean => reply !== null && deadline !== null;

/** In a line of its tenant's: two sources of one name, `http` say, are not each other's backlog. */
const rowOf = (tensor: Tensor): RowInput => ({ pixels: tensor.pixels, source: `${tensor.tenant}/${tensor.source}`, urgent: urgent(tensor), deadline: tensor.deadline });

function faultOf({ model: name, height, width, pixels, geometry, answer }: Tensor, { card }: Model): SaccadeError | null {
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

function addressed({ source, reply }: Tensor, value: Prediction): Emitted[] {
  const record: Emitted = { output: 'predictions', key: source, value };
  return reply ? [record, { output: 'replies', key: reply.request_id, partition: reply.partition, value }] : [record];
}
