/** The cache of answers, in whatever cache there is. */
import { answerKey, decodeAnswer, encodeAnswer } from '../../schemas/known-answer.ts';
import type { AnswerCache, Cache } from '../ports.ts';
import type { CacheMetrics } from './metrics.ts';

export interface AnswerCacheOptions {
  readonly cache: Cache;
  readonly ttlMs: number;
  readonly metrics: CacheMetrics;
}

/** Faults of the cache are counted here and end here; that it is away is logged once, by the cache itself. */
export function answerCache({ cache, ttlMs, metrics }: AnswerCacheOptions): AnswerCache {
  return {
    async find(questions) {
      if (questions.length === 0) return [];
      const keys = questions.map(({ content, model }) => answerKey(content, model));
      const values = await cache.get(keys).catch(() => null);
      return questions.map(({ model }, i) => {
        const value = values?.[i] ?? null;
        const answer = value && decodeAnswer(keys[i]!, value);
        metrics.lookedUp(model.card.name, answer ? 'hit' : value ? 'corrupt' : values ? 'miss' : 'error');
        return answer;
      });
    },
    keep({ content, model }, answer) {
      const key = answerKey(content, model);
      cache.set(key, encodeAnswer(key, answer), ttlMs).then(
        () => metrics.written(model.card.name, 'ok'),
        () => metrics.written(model.card.name, 'error'),
      );
    },
  };
}
