/** Every invariant, and what watches over the run itself. */
import { answered } from './answered.ts';
import { bytesInFlight } from './bytes-in-flight.ts';
import { commitAfterResults } from './commit-after-results.ts';
import { commitsAdvance } from './commits-advance.ts';
import { deadLetters } from './dead-letters.ts';
import { deservedOutcome } from './deserved-outcome.ts';
import type { Evidence, Invariant } from './invariant.ts';
import { oneOutcome } from './one-outcome.ts';
import { onlyOffered } from './only-offered.ts';
import { sourceOrder } from './source-order.ts';

const make = [answered, bytesInFlight, commitAfterResults, commitsAdvance, deadLetters, deservedOutcome, oneOutcome, onlyOffered, sourceOrder];

export const allInvariants = (evidence: Evidence): Invariant[] => make.map((one) => one(evidence));

/** Judged by the run, since they are about what does not happen: it all comes to rest, and no promise fails unheard. */
export const runInvariants = ['settles', 'no-orphan-rejection'] as const;
