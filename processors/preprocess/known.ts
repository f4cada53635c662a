/** Looks up what is known of pictures that were seen before, so that they are neither decoded nor inferred again. */
import { createHash } from 'node:crypto';
import type { AnswerCache } from '../../connectors/ports.ts';
import type { KnownAnswer } from '../../schemas/known-answer.ts';
import type { Model, ModelCard } from '../../schemas/model-card.ts';
import { pictureDigest } from '../../schemas/picture-digest.ts';
import type { Frame } from '../../schemas/records.ts';

export interface CacheRules {
  readonly answers: AnswerCache;
  /** Whether frames of live sources are cached: their pictures almost never repeat. */
  readonly live: boolean;
  /** Sources whose pictures are neither looked up nor kept. */
  readonly except: readonly string[];
}

/** What is known of one picture. */
export interface Known {
  /** The tensors' `content`. */
  readonly content: string;
  /** By the name of the model. */
  readonly answers: ReadonlyMap<string, KnownAnswer>;
  /** Milliseconds of hashing and asking. */
  readonly ms: number;
}

export interface Picture {
  readonly frame: Pick<Frame, 'tenant'>;
  readonly image: Buffer;
  readonly wanted: readonly Model[];
}

/** A frame with a deadline that nobody waits for is a live source's. */
const isLive = ({ deadline, reply }: Pick<Frame, 'deadline' | 'reply'>): boolean => deadline !== null && reply === null;

export const cacheable = (frame: Pick<Frame, 'source' | 'deadline' | 'reply'>, { live, except }: Omit<CacheRules, 'answers'>): boolean =>
  (live || !isLive(frame)) && !except.includes(frame.source);

/**
 * One look-up for all of them. `inputs` are those of all models served: how far a picture is shrunk while decoding depends
 * on them, and so do its tensors and statistics. Identical pictures of two tenants have nothing to do with each other.
 * A picture of more than `maxPixels` counts as unknown, so that it is refused as if it had never been seen.
 */
export async function lookUp(
  pictures: readonly Picture[],
  answers: AnswerCache,
  inputs: readonly ModelCard['input'][],
  maxPixels: number,
): Promise<Known[]> {
  const started = performance.now();
  const prepared = JSON.stringify(inputs);
  const contents = await Promise.all(
    pictures.map(async ({ frame, image }) => {
      const hash = createHash('sha256').update(await pictureDigest(image));
      for (const part of [frame.tenant, prepared]) hash.update(`${Buffer.byteLength(part)}:${part}`);
      return hash.digest('hex');
    }),
  );
  const found = await answers.find(pictures.flatMap(({ wanted }, i) => wanted.map((model) => ({ content: contents[i]!, model }))));
  const ms = performance.now() - started;
  let at = 0;
  return pictures.map(({ wanted }, i) => {
    const known = new Map<string, KnownAnswer>();
    for (const { card } of wanted) {
      const answer = found[at++];
      if (answer && answer.image_width * answer.image_height <= maxPixels) known.set(card.name, answer);
    }
    return { content: contents[i]!, answers: known, ms };
  });
}
