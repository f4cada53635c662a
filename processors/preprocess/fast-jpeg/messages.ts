/**
 * What the pool and its threads say to each other. Pictures and pixels lie in memory that both see. What is moved instead counts
 * as new memory on the thread it comes to, and has V8 look for garbage where there is none.
 */
import type { ModelCard } from '../../../schemas/model-card.ts';
import type { Quality } from '../../../schemas/records.ts';
import type { FastSize } from './header.ts';

export interface CutRequest {
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly size: FastSize;
  readonly inputs: readonly ModelCard['input'][];
  /** Memory to cut into, by input: of exactly its size. Until the reply it is the thread's. */
  readonly into: readonly SharedArrayBuffer[];
}

/** To each request, in their order: it is cut. null: this one is not for the fast path. */
export interface CutReply {
  readonly quality: Quality | null;
}

/** `ready` once, then replies. */
export type FromCutThread = 'ready' | CutReply;
