/**
 * The limits and the record for what is done inside of a request that was let in as one: the pictures of a document, the operations
 * and frames of a socket. Whichever door a picture comes by, it counts.
 */
import type { FastifyReply } from 'fastify';
import type { RateClass } from '../../schemas/plans.ts';
import type { Principal } from './principal.ts';

/** Whether one more may come. Later: it is being asked, and is known in a moment. */
export type Verdict = 'yes' | 'no' | 'later';

/** The limits of one principal for what comes too often to be asked about each time. */
export interface Tap {
  /** Counts one, at `now` (milliseconds since the epoch). */
  take(now: number): Verdict;
  /** One that was counted did not come after all. */
  giveBack(): void;
}

/** What was done, as the audit trail has it. */
export interface Deed {
  /** As a request's method and route: `WS /graphql mutation`. */
  readonly action: string;
  readonly target: string;
  /** As of HTTP. */
  readonly status: number;
  readonly address: string;
}

export interface Ledger {
  /** Counts one, and says what is left in the headers of the reply, if there is one. Throws rate_limited, and metadata_unavailable where what is done could not be recorded. */
  count(principal: Principal, of: RateClass, reply?: FastifyReply): Promise<void>;
  tap(principal: Principal, of: RateClass): Tap;
  /** Returns at once. */
  record(principal: Principal, deed: Deed): void;
}

export const freely: Tap = { take: () => 'yes', giveBack() {} };

/** Where nobody is limited and nothing recorded. */
export const noLedger: Ledger = { count: async () => {}, tap: () => freely, record() {} };
