/** The models in memory, the cache of their answers, and which version of a model answers at present. */
import { answerCache } from '../../connectors/cache/answers.ts';
import { cacheMetrics } from '../../connectors/cache/metrics.ts';
import type { Model } from '../../schemas/model-card.ts';
import { openCache } from '../connect.ts';
import { engineSettings, openServedModels } from '../served-models.ts';
import type { Served } from '../infer/serving.ts';
import type { Foundation } from './foundation.ts';
import { knownPictures } from './known-pictures.ts';

export async function openInference(base: Foundation) {
  const { settings: s, config, models, repository, clock, metrics, logger, ending, wants } = base;
  const opening = wants('infer') ? openServedModels({ repository, settings: s, models, clock, engine: engineSettings(config), metrics, say: (message) => logger.info({ stage: 'infer' }, message) }) : null;
  // Before it is open: leaving while models load would abort the process.
  if (opening) ending.add('engine', async () => (await opening).close());
  const served = await opening;

  const { cache, said } = await openCache(s, logger.child({ component: 'cache' }));
  if (cache) ending.add('cache', () => cache.close());
  const counted = cacheMetrics(metrics);
  const cached = cache && { cache, ttlMs: s.SACCADE_CACHE_TTL_S * 1000 };
  const answers = cached && answerCache({ ...cached, metrics: counted });
  // What the edge does not find is asked for again by preprocess, and counted there.
  const atTheEdge = cached && answerCache({ ...cached, metrics: { ...counted, lookedUp: (model, outcome) => outcome === 'hit' && counted.lookedUp(model, outcome) } });
  // The cache asks by the version that answers, and the edge tells which one that is.
  const by = (model: Model): Served => served?.answering(model.card.name) ?? { model: models.current(model), insteadOf: null };
  const cacheRules = answers && { answers, live: s.SACCADE_CACHE === 'all', except: s.SACCADE_CACHE_EXCEPT };
  return {
    /** Null where this process does not infer. */
    served,
    /** Null: none. */
    answers,
    cacheRules,
    /** Null: nothing is ever known here. */
    known: atTheEdge && knownPictures({ rules: { ...cacheRules!, answers: atTheEdge }, models, current: by, maxPixels: s.SACCADE_MAX_PIXELS }),
    /** How the start tells of the cache. */
    cacheSaid: said,
    current: (model: Model): Model => by(model).model,
    troubles(): Record<string, string> {
      const trouble = served?.engine.trouble();
      return trouble ? { engine: trouble } : {};
    },
    unchecked: (): string[] => served?.unchecked() ?? [],
    degraded: (): Record<string, string> => ({ ...models.degraded(), ...served?.degraded() }),
  };
}

export type Inference = Awaited<ReturnType<typeof openInference>>;
