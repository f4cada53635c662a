/** Every broken runtime, by name. */
import type { Broken } from './broken.ts';
import { commitAfterRebalance, commitBeforeSend, commitHighest, commitUnheard, forgetsToResume, ignoresBudget } from './commits.ts';
import { condemnsCompany, forgetsDeaths } from './deaths.ts';
import { fusesAtOnce } from './fusing.ts';
import { comesBackEarly, forgetsLanes, overtakesByOverflow } from './lanes.ts';
import { dropsUnaccounted, freshIds, retryDeadLetters, variesIdentity } from './outcomes.ts';
import { forgetsReplies, ignoresSendErrors, sendsUnordered, swallowsDeadLetters, tearsDeadLetters } from './sends.ts';

export const allBroken: readonly Broken[] = [
  commitBeforeSend,
  commitHighest,
  commitAfterRebalance,
  commitUnheard,
  ignoresSendErrors,
  sendsUnordered,
  ignoresBudget,
  forgetsToResume,
  dropsUnaccounted,
  retryDeadLetters,
  swallowsDeadLetters,
  tearsDeadLetters,
  forgetsReplies,
  freshIds,
  variesIdentity,
  overtakesByOverflow,
  comesBackEarly,
  forgetsLanes,
  fusesAtOnce,
  forgetsDeaths,
  condemnsCompany,
];
