/** Whether one more WebSocket may be opened: of all there are, and of one principal. */
import { SaccadeError } from '../../connectors/errors.ts';
import type { Principal } from './principal.ts';

/** Where nobody is asked who they are, everybody is the same, and has all. */
export const isSomebody = ({ kind }: Principal): boolean => kind !== 'open';

/** `open`: whose each socket is. Throws overloaded, rate_limited. */
export function checkPlace(open: ReadonlyMap<unknown, Principal>, principal: Principal, { maxSockets, maxSocketsEach }: { readonly maxSockets: number; readonly maxSocketsEach: number }): void {
  if (open.size >= maxSockets) throw new SaccadeError('overloaded', `${open.size} sockets are open.`);
  if (!isSomebody(principal) || open.size < maxSocketsEach) return;
  let own = 0;
  for (const { id } of open.values()) if (id === principal.id) own += 1;
  if (own >= maxSocketsEach) throw new SaccadeError('rate_limited', `${maxSocketsEach} sockets of yours are open.`);
}
