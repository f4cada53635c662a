/** Whose key it is, without asking the database about each request. */
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import type { AccessStore, HeldKey } from '../../connectors/metadata-port.ts';
import type { Clock } from '../../connectors/ports.ts';
import { isSecretOf, parseKey } from './key.ts';

export interface KeyCheck {
  /** Throws unauthenticated, with one sentence whatever is wrong; metadata_unavailable. */
  check(text: string): Promise<HeldKey>;
  /** Whether it was good when it was last asked for: answered without asking anybody. */
  knows(text: string): boolean;
  /** The key by its id, whoever vouches for it: the same rules but for the secret. */
  holder(id: string): Promise<HeldKey>;
  /** Ends the watch, with the last uses written. */
  close(): Promise<void>;
}

/** A change is told at once (watchKeys); this is for what a lost message would leave standing. */
const freshMs = 5_000;
/** While the database is away a key that was good goes on for so long: nobody can revoke one there meanwhile either. */
export const graceMs = 60_000;
/** Ids come from whoever asks, so what is remembered of them has a limit. */
const remembered = 10_000;
const usesEveryMs = 10_000;

interface Known {
  readonly key: HeldKey | null;
  readonly at: number;
  readonly epoch: number;
}

const refused = (): SaccadeError => new SaccadeError('unauthenticated', 'The key is unknown, expired or revoked.');
/** Compared with when there is no such key, so that the time of an answer does not tell which ids there are. */
const nobody = Buffer.alloc(32);

export async function keyCheck({ access, clock }: { readonly access: AccessStore; readonly clock: Clock }): Promise<KeyCheck> {
  const known = new Map<string, Known>();
  const asking = new Map<string, Promise<HeldKey | null>>();
  const uses = new Map<string, number>();
  const closing = new AbortController();
  /** Counts what was told: an answer that was under way when a change was told is not kept. */
  let told = 0;
  /** What is known from before the watch was lost serves for the time of grace only. */
  let epoch = 0;
  const watch = await access.watchKeys((id) => {
    told += 1;
    if (id === null) epoch += 1;
    else known.delete(id);
  });

  async function ask(id: string): Promise<HeldKey | null> {
    const before = told;
    const key = await access.findKey(id);
    if (told === before) {
      known.delete(id);
      known.set(id, { key, at: clock.now(), epoch });
      if (known.size > remembered) known.delete(known.keys().next().value!);
    }
    return key;
  }

  async function find(id: string): Promise<HeldKey | null> {
    const held = known.get(id);
    // A watch that is away tells nothing: then only the database is believed.
    if (held && held.epoch === epoch && watch.connected() && clock.now() - held.at < freshMs) return held.key;
    const under = asking.get(id) ?? ask(id).finally(() => asking.delete(id));
    asking.set(id, under);
    try {
      return await under;
    } catch (error) {
      if (held?.key && asSaccadeError(error).code === 'metadata_unavailable' && clock.now() - held.at < graceMs) return held.key;
      throw error;
    }
  }

  function usable(key: HeldKey | null): key is HeldKey {
    return key !== null && key.revokedAt === null && (key.expiresAt === null || clock.now() < key.expiresAt);
  }

  async function flush(): Promise<void> {
    const written = new Map(uses);
    uses.clear();
    // When a key was last used is worth no more than one attempt.
    await access.usedKeys(written).catch(() => {});
  }
  const flushing = (async () => {
    while (!closing.signal.aborted) {
      await clock.sleep(usesEveryMs, closing.signal);
      await flush();
    }
  })();

  return {
    async check(text) {
      const parsed = parseKey(text);
      if (!parsed) throw refused();
      const key = await find(parsed.id);
      const same = isSecretOf(key?.secretHash ?? nobody, parsed.secret);
      if (!same || !usable(key)) throw refused();
      uses.set(key.id, clock.now());
      return key;
    },
    knows(text) {
      const parsed = parseKey(text);
      const key = parsed && known.get(parsed.id)?.key;
      return key !== null && key !== undefined && isSecretOf(key.secretHash, parsed!.secret);
    },
    async holder(id) {
      const key = await find(id);
      if (!usable(key)) throw refused();
      return key;
    },
    async close() {
      closing.abort();
      await flushing;
      await watch.close();
    },
  };
}
