/** From what a request shows to who asks. */
import { SaccadeError } from '../../connectors/errors.ts';
import type { HeldKey } from '../../connectors/metadata-port.ts';
import type { Authenticate, Principal } from '../edge/principal.ts';
import { type Credential, credentialOf } from './credentials.ts';
import type { KeyCheck } from './key-check.ts';
import { parseKey } from './key.ts';
import type { Tickets } from './tickets.ts';

/** Tokens of an issuer that is trusted. Throws unauthenticated, issuer_unavailable. */
export interface TokenCheck {
  check(token: string): Promise<Principal>;
}

export interface AuthenticateOptions {
  readonly keys: Pick<KeyCheck, 'check' | 'holder' | 'knows'>;
  readonly tickets: Tickets;
  /** Null: no issuer is trusted. */
  readonly tokens: TokenCheck | null;
  /** The tenant that runs the installation. */
  readonly home: string;
  /** Throws rate_limited for an address that has shown too much that was wrong. */
  admit?(address: string): Promise<void>;
  /** Told of each credential that was refused. */
  refused?(address: string): Promise<void>;
}

export function authenticator({ keys, tickets, tokens, home, admit, refused }: AuthenticateOptions): Authenticate {
  const keyPrincipal = ({ id, tenant, role, plan, tenantPlan, models, sources, expiresAt }: HeldKey): Principal => ({
    id: `key:${id}`, tenant, role, kind: 'key', home: tenant === home, plan: plan ?? tenantPlan ?? undefined, expiresAt: expiresAt ?? undefined,
    ...(models || sources ? { scope: { models, sources } } : {}),
  });

  async function whoIs({ kind, text }: Credential): Promise<Principal> {
    if (kind === 'ticket') {
      const principal = tickets.read(text);
      // A key that was revoked since takes its tickets with it.
      return principal.kind === 'key' ? keyPrincipal(await keys.holder(principal.id.slice('key:'.length))) : principal;
    }
    if (parseKey(text)) return keyPrincipal(await keys.check(text));
    if (tokens && text.split('.').length === 3) return tokens.check(text);
    throw new SaccadeError('unauthenticated', 'The credential is neither a key nor a token of an issuer that is trusted here.');
  }

  /** Of an address that is refused: what is good by a look at it here. A key that is not known would cost the database a question. */
  async function spared(credential: Credential): Promise<Principal | null> {
    if (credential.kind === 'bearer' && parseKey(credential.text) && !keys.knows(credential.text)) return null;
    return whoIs(credential).catch(() => null);
  }

  return async (request) => {
    const credential = credentialOf(request);
    try {
      await admit?.(request.ip);
    } catch (error) {
      // Behind one address there may be many: those whose credential is good are not shut out with the one whose is not.
      const principal = await spared(credential);
      if (principal) return principal;
      throw error;
    }
    try {
      return await whoIs(credential);
    } catch (error) {
      if (error instanceof SaccadeError && error.code === 'unauthenticated') await refused?.(request.ip);
      throw error;
    }
  };
}
