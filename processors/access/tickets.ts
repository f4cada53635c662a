/**
 * Tickets: what a page shows in a URL where it cannot send a header (a WebSocket). They last for seconds and stand for the
 * principal that asked for one, as long as it is still one. Signed, not stored: any edge takes what another gave.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Clock } from '../../connectors/ports.ts';
import type { Principal } from '../edge/principal.ts';

export const ticketSeconds = 30;

export interface Tickets {
  issue(principal: Principal): string;
  /** Whom it stands for. Throws unauthenticated. */
  read(ticket: string): Principal;
}

const refused = (): SaccadeError => new SaccadeError('unauthenticated', 'The ticket is invalid or has expired; ask for another one.');

/** `secret` is shared by all edges. */
export function tickets(secret: Buffer, clock: Clock): Tickets {
  const sign = (body: string): Buffer => createHmac('sha256', secret).update(body).digest();
  return {
    issue({ id, tenant, role, kind, home, plan, expiresAt }) {
      const body = Buffer.from(JSON.stringify({ id, tenant, role, kind, home, plan, expiresAt, until: clock.now() + ticketSeconds * 1000 })).toString('base64url');
      return `${body}.${sign(body).toString('base64url')}`;
    },
    read(ticket) {
      const [body = '', signature = ''] = ticket.split('.');
      const given = Buffer.from(signature, 'base64url');
      const right = sign(body);
      if (given.length !== right.length || !timingSafeEqual(given, right)) throw refused();
      const { until, ...principal } = JSON.parse(Buffer.from(body, 'base64url').toString()) as Principal & { until: number };
      if (clock.now() >= Math.min(until, principal.expiresAt ?? until)) throw refused();
      return principal;
    },
  };
}
