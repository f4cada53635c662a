/** Pictures whose answer is in the cache: answered by a record in `predictions`, without a way through the stages. */
import type { KnownAnswer } from '../../schemas/known-answer.ts';
import type { Frame } from '../../schemas/records.ts';

export interface KnownPicture {
  readonly answer: KnownAnswer;
  /** The version that was to answer, where its fallback did. */
  readonly fallbackFor: string | null;
  /** Milliseconds of hashing and asking. */
  readonly ms: number;
}

/** One for each picture, in their order; null where nothing is known of it, as of one for a model that is not served. Never rejects. */
export type FindKnown = (tenant: string, source: string, pictures: readonly { readonly image: Buffer; readonly model: string }[]) => Promise<readonly (KnownPicture | null)[]>;

/** What the page needs to show one. */
export type SeenPicture = Pick<Frame, 'id' | 'tenant' | 'source' | 'models' | 'content_type' | 'image' | 'claim'>;
