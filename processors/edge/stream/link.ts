/** A socket, as its session sees it. */
import type { Tap } from '../ledger.ts';

export interface Link {
  send(json: string): void;
  close(code: number, reason: string): void;
  /** It has much that its client has not read. */
  readonly slow: boolean;
  /** Frames count against the limits of whoever opened it. */
  readonly tap: Tap;
  /** Reads no more from the client, until resumed. */
  pause(): void;
  resume(): void;
}
