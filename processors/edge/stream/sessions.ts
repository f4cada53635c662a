/** The sessions of one edge: those with a socket, and those whose client may still come back. */
import { randomUUID } from 'node:crypto';
import { SaccadeError } from '../../../connectors/errors.ts';
import type { About } from './about.ts';
import type { StreamConfig } from './config.ts';
import type { Opening } from './protocol.ts';
import type { Session } from './session.ts';

export interface Opened {
  readonly session: Session;
  readonly resume: 'new' | 'held' | 'moved';
}

export interface Sessions {
  /** The model of the session that is wanted, where it is known here. */
  modelOf(tenant: string, wish: Opening): string | undefined;
  /** `admit`: called before one is made. Throws what that throws, and bad_request when one is resumed as something else than it was. */
  open(tenant: string, wish: Opening & { readonly model: string }, admit: () => void): Opened;
  /** Its socket has gone, at `now`. */
  left(session: Session, now: number): void;
  /** Forgets those whose time is up. */
  sweep(now: number): void;
  /** Forgets the one that has been without a socket for the longest; false: there is none. */
  forgetOldest(): boolean;
  all(): Iterable<Session>;
  readonly size: number;
}

/** Sessions of two tenants have nothing to do with each other, whatever ids they name. */
const keyOf = ({ tenant, session }: Pick<About, 'tenant' | 'session'>): string => `${tenant}/${session}`;

export function openSessions(limits: StreamConfig, create: (about: About) => Session): Sessions {
  const sessions = new Map<string, Session>();
  /** Without a socket since, the longest first. */
  const alone = new Map<Session, number>();

  function forget(session: Session): void {
    alone.delete(session);
    sessions.delete(keyOf(session.about));
    session.discard();
  }

  function forgetOldest(): boolean {
    const [oldest] = alone.keys();
    if (oldest) forget(oldest);
    return oldest !== undefined;
  }

  function sameAsBefore({ about }: Session, wish: Opening & { readonly model: string }): void {
    for (const field of ['source', 'model', 'policy'] as const) {
      if (about[field] !== wish[field]) throw new SaccadeError('bad_request', `${field} is '${wish[field].slice(0, 40)}'; the session was opened with '${about[field].slice(0, 40)}'.`);
    }
  }

  const find = (tenant: string, { session }: Opening): Session | undefined => (session === undefined ? undefined : sessions.get(keyOf({ tenant, session })));

  return {
    modelOf: (tenant, wish) => find(tenant, wish)?.about.model,
    open(tenant, wish, admit) {
      const { source, model, policy, session: id = randomUUID(), acknowledged = -1 } = wish;
      const known = find(tenant, wish);
      if (known) {
        sameAsBefore(known, wish);
        alone.delete(known);
        return { session: known, resume: 'held' };
      }
      admit();
      const session = create({ tenant, session: id, source, model, policy, acknowledged });
      sessions.set(keyOf(session.about), session);
      return { session, resume: wish.session === undefined ? 'new' : 'moved' };
    },
    left(session, now) {
      if (session.attached || sessions.get(keyOf(session.about)) !== session) return;
      alone.set(session, now);
      if (alone.size > limits.keepSessions) forgetOldest();
    },
    forgetOldest,
    sweep(now) {
      for (const [session, since] of alone) {
        if (now - since < limits.keepMs) break;
        forget(session);
      }
    },
    all: () => sessions.values(),
    get size() {
      return sessions.size;
    },
  };
}
