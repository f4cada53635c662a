/** What the edge knows of a picture without asking a stage: by the rules of preprocess and under the names it keeps answers by. */
import type { Model } from '../../schemas/model-card.ts';
import type { ModelSet } from '../../schemas/model-set.ts';
import type { FindKnown } from '../edge/known-pictures.ts';
import { cacheable, type CacheRules, lookUp } from '../preprocess/known.ts';

export interface KnownPicturesOptions {
  readonly rules: CacheRules;
  readonly models: ModelSet;
  /** The model as it answers now, and the version it stands in for. */
  readonly current: (model: Model) => { readonly model: Model; readonly insteadOf: string | null };
  /** A larger picture counts as unknown, so that it is refused as if it had never been seen. */
  readonly maxPixels: number;
}

export function knownPictures({ rules, models, current, maxPixels }: KnownPicturesOptions): FindKnown {
  return async (tenant, source, pictures) => {
    // With a reply or without one: somebody asks for each, so none is a live one.
    if (!cacheable({ source, deadline: null, reply: null }, rules)) return pictures.map(() => null);
    const all = models.all();
    const inputs = all.map(({ card }) => card.input);
    const by = pictures.map(({ model: name }) => {
      const model = all.find(({ card }) => card.name === name);
      return model ? current(model) : null;
    });
    const asked = pictures.map(({ image }, i) => ({ frame: { tenant }, image, wanted: by[i] ? [by[i].model] : [] }));
    const found = await lookUp(asked, rules.answers, inputs, maxPixels);
    return pictures.map(({ model }, i) => {
      const { answers, ms } = found[i]!;
      const answer = answers.get(model);
      return answer ? { answer, fallbackFor: by[i]!.insteadOf, ms } : null;
    });
  };
}
