/** An API key: an id, which is public and names it in lists and logs, and a secret, which is shown once. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

export interface MadeKey {
  readonly id: string;
  /** SHA-256 of the secret. */
  readonly secretHash: Buffer;
  /** What the client sends: shown once, kept nowhere. */
  readonly text: string;
}

/** A prefix of its own, so that scanners of repositories and logs can tell one. */
const prefix = 'sac';
const pattern = /^sac_([a-z0-9]{16})_([A-Za-z0-9_-]{43})$/;
const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';

/**
 * SHA-256 and nothing slower: what it hashes is 256 random bits, which no amount of guessing finds. Slow hashes are for what
 * people think up; here one would only cost each request its time, and give a flood of wrong keys a processor to burn.
 */
export const secretHash = (secret: string): Buffer => createHash('sha256').update(secret).digest();

export function makeKey(): MadeKey {
  const id = [...randomBytes(16)].map((byte) => alphabet[byte % alphabet.length]).join('');
  const secret = randomBytes(32).toString('base64url');
  return { id, secretHash: secretHash(secret), text: `${prefix}_${id}_${secret}` };
}

/** Null for what is no key by its form. */
export function parseKey(text: string): { readonly id: string; readonly secret: string } | null {
  const match = pattern.exec(text);
  return match ? { id: match[1]!, secret: match[2]! } : null;
}

/** In constant time. */
export const isSecretOf = (hash: Buffer, secret: string): boolean => timingSafeEqual(hash, secretHash(secret));
