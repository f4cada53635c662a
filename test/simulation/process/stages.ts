/** Preprocess and infer without pictures: what they emit, account for and refuse is what the real ones do; the work is a wait. */
import { SaccadeError } from '../../../connectors/errors.ts';
import type { BlobStore } from '../../../connectors/ports.ts';
import { predictionId } from '../../../schemas/ids.ts';
import type { Frame, Prediction, Tensor } from '../../../schemas/records.ts';
import { unanswered } from '../../../schemas/unanswered.ts';
import { emit, failed, reject, type BatchPolicy, type Emitted, type Guard, type Input, type Outcome, retry, type Stage, unguarded } from '../../../processors/stage.ts';
import { codeOf, faultyModel, kindNamed, kindOfCode } from '../offer/kinds.ts';
import { refusedVersion } from '../world/table.ts';
import type { World } from '../world/world.ts';
import type { Life } from './life.ts';

export const maxRecordBytes = 4_000;
const batch: BatchPolicy = { records: 8, bytes: 20_000, waitMs: 0, concurrency: 2 };

function addressed({ source, reply }: Frame | Tensor, value: Prediction): Emitted[] {
  const record: Emitted = { output: 'predictions', key: source, value };
  return reply ? [record, { output: 'replies', key: reply.request_id, partition: reply.partition, value }] : [record];
}

/** What both do with a batch: work on each for a while, and now and then fail for reasons that are nobody's fault. */
function eachOf<T>(world: World, life: Life, work: (input: Input<T>, guard: Guard) => Promise<Outcome> | Outcome) {
  const { random, weather, scenario } = world;
  return async (inputs: readonly Input<T>[], _signal: AbortSignal, guard: Guard = unguarded): Promise<Outcome[]> => {
    if (weather.strikes(scenario.rates.stageFault)) throw new SaccadeError('engine_unavailable', 'the whole batch');
    return Promise.all(
      inputs.map(async (input) => {
        if (random.chance(0.3)) await life.work(random.between(0.5, 80));
        if (weather.strikes(scenario.rates.stageFault)) return retry(new SaccadeError('engine_unavailable', 'one record'));
        return work(input, guard);
      }),
    );
  };
}

/** Native code: it takes a moment, and a killer does not come back from it, nor does the process. */
function native(world: World, life: Life, kills: boolean): Promise<void> {
  const takesMs = world.random.between(0.1, 8);
  return life.work(takesMs).then(() => {
    if (!kills) return;
    world.counts.crashes += 1;
    life.end('KILLED by a record');
    return new Promise(() => {});
  });
}

export function cheapPreprocess(world: World, life: Life, blobs: BlobStore): Stage<Frame> {
  async function preprocess(input: Input<Frame>, guard: Guard): Promise<Outcome> {
    const frame = input.value;
    let image: Buffer;
    try {
      image = frame.image ?? (await blobs.get(frame.claim!));
    } catch (error) {
      return failed(error as SaccadeError);
    }
    const kind = kindOfCode(image[3]!);
    await guard([input], () => native(world, life, kind.name === 'kills in preprocess'));
    if (kind.name === 'broken picture') return reject(new SaccadeError('undecodable_image'));
    if (kind.name === 'throws in preprocess') throw new TypeError('an image nobody thought of');
    const pixels = Buffer.alloc(kind.name === 'tensor too large' ? maxRecordBytes : 150, codeOf(kind));
    return emit(...[...new Set(frame.models)].map((model): Emitted => ({ output: model, key: frame.source, value: tensorOf(frame, model, pixels) })));
  }

  return {
    name: 'preprocess',
    batch,
    process: eachOf(world, life, preprocess),
    deadline: ({ value }) => value.deadline,
    account: ({ value: frame }, failure) =>
      [...new Set(frame.models)].flatMap((model) => addressed(frame, unanswered(frame.id, frame, model, failure))),
  };
}

const tensorOf = ({ tenant, source, sequence, captured_at, accepted_at, deadline, reply, id }: Frame, model: string, pixels: Buffer): Tensor => ({
  tenant,
  source,
  sequence,
  captured_at,
  accepted_at,
  deadline,
  reply,
  frame_id: id,
  model,
  height: 1,
  width: 50,
  pixels,
  geometry: { image_width: 1, image_height: 1, x: 0, y: 0, width: 1, height: 1 },
  quality: { luma: 0, contrast: 0, sharpness: 0, saturation: 0, entropy: 0 },
  timings_ms: {},
  content: null,
  answer: null,
  picture: null,
});

export function cheapInfer(world: World, life: Life, model: string): Stage<Tensor> {
  async function infer(input: Input<Tensor>, guard: Guard): Promise<Outcome> {
    const tensor = input.value;
    const kind = kindOfCode(tensor.pixels[0]!);
    const faulty = model === faultyModel;
    await guard([input], () => native(world, life, faulty && kind.name === 'kills in infer'));
    if (faulty && kind.name === 'refused by the model') return reject(new SaccadeError('inference_failed'));
    if (faulty && kind.name === 'throws in infer') throw new TypeError('a tensor nobody thought of');
    const refused = faulty && kind.name === kindNamed('refused by the store').name;
    return emit(...addressed(tensor, predictionOf(tensor, life.clock.now(), refused ? refusedVersion : '1')));
  }

  return {
    name: `infer.${model}`,
    batch,
    process: eachOf(world, life, infer),
    deadline: ({ value }) => value.deadline,
    account: ({ value: tensor }, failure) => addressed(tensor, unanswered(tensor.frame_id, tensor, model, failure)),
  };
}

const predictionOf = (tensor: Tensor, now: number, version: string): Prediction => ({
  id: predictionId(tensor.frame_id, tensor.model),
  frame_id: tensor.frame_id,
  tenant: tensor.tenant,
  source: tensor.source,
  sequence: tensor.sequence,
  captured_at: tensor.captured_at,
  accepted_at: tensor.accepted_at,
  completed_at: now,
  status: 'ok',
  stage: null,
  reason: null,
  detail: null,
  model: tensor.model,
  version,
  fallback_for: null,
  task: 'classification',
  image_width: 1,
  image_height: 1,
  labels: [],
  detections: [],
  embedding: null,
  quality: tensor.quality,
  timings_ms: {},
  request_id: tensor.reply?.request_id ?? null,
  cached: false,
  picture: tensor.picture,
});
