/** The SHA-256 of an encoded picture: what tells one from another, whoever asks. */
import { createHash, webcrypto } from 'node:crypto';

/** It takes 0.1 ms for 100 KB; what would hold up the event loop for longer than this is hashed beside it, at twice the cost. */
const hashedBesideBytes = 512 * 1024;

export const pictureDigest = async (bytes: Buffer): Promise<Buffer> => (await pictureDigests([bytes]))[0]!;

/** Of each; many small ones hold up the event loop as one large one would. */
export async function pictureDigests(all: readonly Buffer[]): Promise<Buffer[]> {
  const bytes = all.reduce((sum, each) => sum + each.length, 0);
  if (bytes <= hashedBesideBytes) return all.map((each) => createHash('sha256').update(each).digest());
  return Promise.all(all.map(async (each) => Buffer.from(await webcrypto.subtle.digest('SHA-256', each))));
}
