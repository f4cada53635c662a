/** What the pool and its threads say to each other. Pixels travel by transfer: moved, not copied. */
import type { ModelCard } from '../../../schemas/model-card.ts';
import type { FastCut } from './cut.ts';
import type { FastSize } from './header.ts';

export interface CutRequest {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly size: FastSize;
  readonly inputs: readonly ModelCard['input'][];
  /** Memory to cut into, by input: of exactly its size, or null. */
  readonly into: readonly (ArrayBuffer | null)[];
}

/** To each request, in their order. `cut` null: this one is not for the fast path. `bytes`: given back to be filled again. */
export interface CutReply {
  readonly cut: FastCut | null;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** `ready` once, then replies. */
export type FromCutThread = 'ready' | CutReply;
