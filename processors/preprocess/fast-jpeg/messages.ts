/** What the pool and its threads say to each other. Pixels travel by transfer: moved, not copied. */
import type { ModelCard } from '../../../schemas/model-card.ts';
import type { FastCut } from './cut.ts';
import type { FastSize } from './header.ts';

export interface CutRequest {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly size: FastSize;
  readonly inputs: readonly ModelCard['input'][];
}

/** `ready` once; then an answer to each request, in their order. null: this one is not for the fast path. */
export type FromCutThread = 'ready' | FastCut | null;
