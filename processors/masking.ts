/** Masking put together: the policy of the settings, the pipeline's decoder, and a face detector in an engine. */
import { parseModelChoice } from '../connectors/models/model-choice.ts';
import type { Repository } from '../connectors/models/repository.ts';
import { asSaccadeError, SaccadeError } from '../connectors/errors.ts';
import type { Clock, Masker } from '../connectors/ports.ts';
import { keyOf, type Model } from '../schemas/model-card.ts';
import type { Config } from './config.ts';
import { inferConfig } from './infer/config.ts';
import { findBoxes } from './infer/detection.ts';
import { createEngine, type Engine } from './infer/engine.ts';
import { suppress } from './infer/nms.ts';
import { maskConfig } from './mask/config.ts';
import { masker } from './mask/masker.ts';
import type { MaskPolicy } from './mask/policy.ts';
import { viewsOf } from './mask/views.ts';
import { preprocessConfig } from './preprocess/config.ts';
import { type Bitmap, decodeImage } from './preprocess/decode.ts';
import { limiter } from './preprocess/limiter.ts';
import { cutRegion } from './preprocess/tensor.ts';
import { checkModel } from './served-models.ts';

export interface MaskingOptions {
  readonly settings: Config['settings'];
  readonly repository: Repository;
  /** The process's own, where it infers; else one is made of one worker, when it is first needed. */
  readonly engine: Engine | null;
  readonly clock: Clock;
  /** As it stands now; absent: that of the settings. */
  readonly policy?: () => MaskPolicy | Promise<MaskPolicy>;
  readonly say?: (message: string) => void;
}

export interface Masking {
  readonly masker: Masker;
  /** Loads the detector ahead of the first picture. Never rejects: what is wrong is told by degraded(). */
  prepare(): Promise<void>;
  /** Why faces cannot be covered, and so no picture is shown, as /ready tells it. */
  degraded(): Record<string, string>;
  close(): Promise<void>;
}

export const maskPolicyOf = ({ SACCADE_MASK_FACES: usual, SACCADE_MASK_TENANTS: tenants }: Config['settings']): MaskPolicy => ({ usual, tenants });

interface Detector {
  readonly engine: Engine;
  readonly model: Model;
}

/** Pictures in work at once. */
const atOnce = 2;
/** How long after a failure the detector is not tried to be loaded again. */
const retryMs = 10_000;

/** Loads nothing yet. */
export function openMasking({ settings: s, repository, engine: shared, clock, policy = () => maskPolicyOf(s), say = () => {} }: MaskingOptions): Masking {
  const config = maskConfig.parse({ score: s.SACCADE_MASK_SCORE / 100 });
  const limits = preprocessConfig.parse({ maxPixels: s.SACCADE_MAX_PIXELS });
  let opening: Promise<Detector> | null = null;
  let failure: { readonly at: number; readonly cause: unknown } | null = null;
  let trouble: string | null = null;

  async function open(): Promise<Detector> {
    const model = await repository.load(parseModelChoice(s.SACCADE_MASK_MODEL));
    if (model.card.task !== 'faces') throw new SaccadeError('invalid_config', `SACCADE_MASK_MODEL is ${s.SACCADE_MASK_MODEL}, a model for ${model.card.task}; one for faces is needed.`);
    const engine = shared ?? createEngine({ ...inferConfig.parse({ workers: 1, intraOpThreads: 1, maxBatch: 1, fold: s.SACCADE_INFER_FOLD }), clock, log: say });
    try {
      await loadChecked(engine, model);
    } catch (error) {
      if (engine !== shared) await engine.close();
      throw error;
    }
    const thresholds = { ...model.card.thresholds, score: config.score, classes: {} };
    return { engine, model: { ...model, card: { ...model.card, thresholds } } };
  }

  async function loadChecked(engine: Engine, model: Model): Promise<void> {
    await engine.load(model);
    try {
      // One that does not find the face it is known to find would leave all others as they are.
      await checkModel(repository, engine, model);
    } catch (error) {
      await engine.unload(model);
      throw error;
    }
  }

  function detector(): Promise<Detector> {
    if (failure && clock.now() - failure.at < retryMs) return Promise.reject(failure.cause);
    return (opening ??= open().catch((cause: unknown) => {
      opening = null;
      failure = { at: clock.now(), cause };
      throw cause;
    }));
  }

  function tell(next: string | null): void {
    if (next !== trouble) say(next === null ? 'faces are covered again' : `faces cannot be covered, so no picture is shown: ${next}`);
    trouble = next;
  }

  return {
    masker: masker(
      {
        policy,
        margin: config.margin,
        decode: (picture) => decodeImage(picture, null, limits),
        faces: async (picture) => findFaces(await detector(), { ...picture, original: picture }),
        turn: limiter(atOnce),
      },
      tell,
    ),
    async prepare() {
      await detector().catch((cause: unknown) => tell(asSaccadeError(cause).message));
    },
    degraded: () => (trouble === null ? {} : { faces: `they cannot be covered, so no picture is shown: ${trouble}` }),
    async close() {
      const opened = await opening?.catch(() => null);
      if (opened && opened.engine !== shared) await opened.engine.close();
    },
  };
}

/** Faces by `model`, loaded in `engine`: corners in pixels of the picture. Throws when one of its views could not be looked at. */
export async function findFaces({ engine, model }: Detector, picture: Bitmap) {
  const { input, thresholds } = model.card;
  const cuts = await Promise.all(viewsOf(picture, input).map((view) => cutRegion(picture, view, input)));
  // In a line of their own: viewers must not push in before those who wait for an answer.
  const rows = cuts.map(({ pixels }) => ({ pixels, source: keyOf(model), urgent: false, deadline: null }));
  const results = await engine.run(model, rows);
  const found = results.flatMap((result, i) => {
    if (!result.ok) throw result.error;
    return findBoxes(result.outputs.faces!, 5, model, cuts[i]!.geometry);
  });
  return suppress(found, thresholds.iou, found.length);
}
