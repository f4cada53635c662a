/** The SHA-256 of an encoded picture: what tells one from another, whoever asks. */
import { createHash, webcrypto } from 'node:crypto';

/** It takes 0.1 ms for 100 KB; what would hold up the event loop for longer than this is hashed beside it, at twice the cost. */
const hashedBesideBytes = 512 * 1024;

export const pictureDigest = async (bytes: Buffer): Promise<Buffer> =>
  bytes.length <= hashedBesideBytes ? createHash('sha256').update(bytes).digest() : Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes));
