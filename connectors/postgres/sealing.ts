/** Secrets at rest: AES-256-GCM under a key that is not in the database, so that a copy of it gives none away. */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { SaccadeError } from '../errors.ts';

export interface Sealer {
  /** False where there is no key: nothing can be sealed. */
  readonly able: boolean;
  /** By the first key. `whose` is not kept, and has to be said again: what is copied to another's row does not open. Throws secrets_unavailable without a key. */
  seal(secret: string, whose: string): string;
  /** What any of the keys sealed, and what lies there plain from before there were any. Throws secrets_unavailable. */
  open(kept: string, whose: string): string;
  /** How something is kept: under the first key, under an older one, plain; or under one that is not here, by its id. */
  how(kept: string): 'current' | 'older' | 'plain' | { readonly missing: string };
}

const keyBytes = 32;
const ivBytes = 12;
/** Nothing of base32, as a plain secret is. */
const sealed = /^v1\.([0-9a-f]{8})\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{22})$/;

export const sealingKeyForm = '32 bytes in base64 are expected, as openssl rand -base64 32 prints them';

/** Null for what is none by its form. */
export function readSealingKey(text: string): Buffer | null {
  const key = Buffer.from(text, 'base64');
  return /^[A-Za-z0-9+/]{43}=$/.test(text) && key.length === keyBytes ? key : null;
}

/** Names a key without a word about it: nobody has to think up names, and two keys have two. */
export const sealingKeyId = (key: Buffer): string => createHash('sha256').update('saccade secrets').update(key).digest('hex').slice(0, 8);

/** The first key seals; the others open what was sealed before. */
export function sealer(keys: readonly Buffer[]): Sealer {
  const byId = new Map(keys.map((key) => [sealingKeyId(key), key]));
  const [current] = byId.keys();

  const noKey = (id: string): SaccadeError =>
    new SaccadeError('secrets_unavailable', `It is sealed with the key ${id}; here ${byId.size === 0 ? 'is none' : `are ${[...byId.keys()].join(', ')}`}. Set SACCADE_SEALING_KEY or SACCADE_SEALING_KEY_FILE to the right one.`);

  return {
    able: current !== undefined,
    seal(secret, whose) {
      if (current === undefined) throw new SaccadeError('secrets_unavailable', `SACCADE_SEALING_KEY is not set: ${sealingKeyForm}.`);
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv('aes-256-gcm', byId.get(current)!, iv).setAAD(Buffer.from(whose));
      const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
      return ['v1', current, ...[iv, text, cipher.getAuthTag()].map((bytes) => bytes.toString('base64url'))].join('.');
    },
    open(kept, whose) {
      const parts = sealed.exec(kept);
      if (!parts) return kept;
      const [, id, ...rest] = parts as unknown as [string, string, string, string, string];
      const [iv, text, tag] = rest.map((part) => Buffer.from(part, 'base64url')) as [Buffer, Buffer, Buffer];
      const key = byId.get(id);
      if (!key) throw noKey(id);
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: 16 }).setAAD(Buffer.from(whose)).setAuthTag(tag);
        return Buffer.concat([decipher.update(text), decipher.final()]).toString('utf8');
      } catch (error) {
        throw new SaccadeError('secrets_unavailable', `What lies in the database for ${whose} was changed, or is another's.`, error);
      }
    },
    how(kept) {
      const id = sealed.exec(kept)?.[1];
      if (id === undefined) return 'plain';
      if (id === current) return 'current';
      return byId.has(id) ? 'older' : { missing: id };
    },
  };
}
