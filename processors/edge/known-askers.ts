/** Who shows which credential, as it was found out a moment ago: for the door, which refuses before anybody is asked. */
import { hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../connectors/ports.ts';
import type { Asker } from './shares.ts';

export interface Known {
  readonly asker: Asker;
  /** Meant by a picture that names no model; null: it has not sent one. */
  readonly model: string | null;
}

export interface KnownAskers {
  /** Null: it shows nothing. Undefined: something that is not known here, or not any more. */
  of(request: IncomingMessage): Known | null | undefined;
  /** Who it was found to be. */
  found(request: IncomingMessage, asker: Asker): void;
  /** What it was found to mean. */
  meant(request: IncomingMessage, model: string): void;
}

/** Then it is found out anew: a key may have been revoked, or mean another model. */
const knownMs = 10_000;
const most = 10_000;

/** What it shows of who asks, unchecked, and the same however it is written: who is known must not seem new by a space more. Empty: nothing. */
const shownBy = ({ headers }: IncomingMessage): string =>
  [headers.authorization?.replace(/^bearer +/i, ''), headers['x-api-key']].flatMap((shown) => shown ?? []).map((shown) => shown.trim()).join('\n');

export function knownAskers(clock: Pick<Clock, 'now'>): KnownAskers {
  /** By a digest: no secret is kept for it. */
  const known = new Map<string, Known & { readonly at: number }>();

  function at(shown: string): { readonly digest: string; readonly entry: (Known & { readonly at: number }) | undefined } {
    const digest = hash('sha256', shown, 'base64');
    const entry = known.get(digest);
    const age = entry ? clock.now() - entry.at : 0;
    return { digest, entry: age >= 0 && age < knownMs ? entry : undefined };
  }

  return {
    of(request) {
      const shown = shownBy(request);
      return shown === '' ? null : at(shown).entry;
    },
    found(request, { tenant, id }) {
      const shown = shownBy(request);
      if (shown === '') return;
      const { digest, entry } = at(shown);
      if (entry) return;
      known.delete(digest);
      known.set(digest, { asker: { tenant, id }, model: null, at: clock.now() });
      if (known.size > most) known.delete(known.keys().next().value!);
    },
    meant(request, model) {
      const { digest, entry } = at(shownBy(request));
      if (entry && entry.model !== model) known.set(digest, { ...entry, model });
    },
  };
}
