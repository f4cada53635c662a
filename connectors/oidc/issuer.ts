/** Tokens of an OpenID Connect issuer: its keys are found by discovery, and fetched again when it signs with a new one. */
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type RemoteJWKSet } from 'jose';
import { SaccadeError } from '../errors.ts';
import type { Clock } from '../ports.ts';
import { isTrustworthy } from '../../schemas/trustworthy-url.ts';

export interface IssuerOptions {
  /** As `iss` says it, to the letter. */
  readonly issuer: string;
  readonly audience: string;
  /** Asymmetric ones only: with a shared secret, whoever can check can sign. */
  readonly algorithms: readonly string[];
  readonly clockSkewS: number;
  readonly clock: Clock;
  /** After a key was not found, this long before it is looked for again: else a flood of made-up key ids is one of fetches. */
  readonly cooldownMs?: number;
}

export interface Issuer {
  /** The claims of a token that is valid now. Throws unauthenticated, issuer_unavailable. */
  claims(token: string): Promise<JWTPayload>;
}

/** Where the issuer has its keys, and when it said so. */
interface Found {
  readonly keys: RemoteJWKSet;
  readonly uri: string;
  readonly at: number;
}

const fetchTimeoutMs = 5_000;
/** An issuer may move its keys, and take an address out of use that somebody else could get. */
const discoveryMs = 3_600_000;
const largestDocument = 256 * 1024;

export function oidcIssuer({ issuer, audience, algorithms, clockSkewS, clock, cooldownMs = 10_000 }: IssuerOptions): Issuer {
  let found: Found | null = null;
  let asking: Promise<Found> | null = null;

  /** openid.net/specs/openid-connect-discovery-1_0.html, 4. */
  async function discover(): Promise<Found> {
    const url = new URL(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
    const response = await fetch(url, { signal: AbortSignal.timeout(fetchTimeoutMs), redirect: 'error' });
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
    const text = await response.text();
    if (text.length > largestDocument) throw new Error(`${url} answered ${text.length} characters`);
    const { issuer: named, jwks_uri } = JSON.parse(text) as { issuer?: string; jwks_uri?: string };
    // Else one issuer could have its keys taken for another's.
    if (named !== issuer) throw new Error(`${url} names the issuer '${named}'`);
    if (typeof jwks_uri !== 'string') throw new Error(`${url} has no jwks_uri`);
    if (!isTrustworthy(jwks_uri)) throw new Error(`${url} has its keys at ${jwks_uri.slice(0, 200)}, which is neither https:// nor on this machine`);
    // Where they are still there, what is held of them serves on.
    const keys = found?.uri === jwks_uri ? found.keys : createRemoteJWKSet(new URL(jwks_uri), { timeoutDuration: fetchTimeoutMs, cooldownDuration: cooldownMs });
    return { keys, uri: jwks_uri, at: clock.now() };
  }

  async function keySet(olderThanMs = discoveryMs): Promise<RemoteJWKSet> {
    if (found && clock.now() - found.at < olderThanMs) return found.keys;
    asking ??= discover().finally(() => (asking = null));
    try {
      found = await asking;
    } catch (error) {
      if (!found) throw new SaccadeError('issuer_unavailable', (error as Error).message, error);
      // Away for a moment it changes nothing: it is asked again when no key fits, or in an hour.
      found = { ...found, at: clock.now() };
    }
    return found.keys;
  }

  const verified = async (token: string, keys: RemoteJWKSet): Promise<JWTPayload> => {
    const { payload } = await jwtVerify(token, keys, {
      issuer,
      audience,
      algorithms: [...algorithms],
      clockTolerance: clockSkewS,
      currentDate: new Date(clock.now()),
      // A token without an end would outlive whoever it was given to.
      requiredClaims: ['sub', 'exp'],
    });
    return payload;
  };

  return {
    async claims(token) {
      const keys = await keySet();
      try {
        return await verified(token, keys).catch(async (error: unknown) => {
          if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
          // The set was fetched anew by then; perhaps it has moved as well.
          const moved = await keySet(cooldownMs);
          if (moved === keys) throw error;
          return verified(token, moved);
        });
      } catch (error) {
        if (isTheTokens(error)) throw new SaccadeError('unauthenticated', `The token is not accepted: ${(error as Error).message}.`, error);
        throw new SaccadeError('issuer_unavailable', (error as Error).message, error);
      }
    },
  };
}

/** Any fault but that of fetching the keys. */
function isTheTokens(error: unknown): boolean {
  if (!(error instanceof errors.JOSEError)) return false;
  return !(error instanceof errors.JWKSTimeout) && !(error instanceof errors.JWKSInvalid) && error.code !== 'ERR_JOSE_GENERIC';
}
