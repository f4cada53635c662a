/**
 * Idempotency-Keys, and what each was used for: a repeat is the same frame; the same key with another picture or model is a mistake
 * that the client is told of, and never an answer to what it did not ask. After the draft of the IETF (draft-ietf-httpapi-idempotency-key-header).
 */
import { createHash, randomUUID } from 'node:crypto';
import { SaccadeError } from '../../connectors/errors.ts';
import type { Cache } from '../../connectors/ports.ts';
import { frameIdFromProducer, frameIdFromRequest } from '../../schemas/ids.ts';
import { pictureDigests } from '../../schemas/picture-digest.ts';

export interface KeyedPicture {
  readonly image: Buffer;
  readonly model: string;
  /** Null: it has none, and is a frame of its own however often it comes. */
  readonly key: string | null;
}

export interface Identified {
  /** Of the frame. */
  readonly id: string;
  /** Called once, when it is in the log, and so remembered, or has come to nothing: then the key may be used for something else. */
  done(accepted: boolean): void;
}

export interface UsedKeys {
  /** One for each, in their order, by one look-up; idempotency_key_reused in the place of a key that was used for something else. */
  identify(tenant: string, source: string, pictures: readonly KeyedPicture[]): Promise<(Identified | SaccadeError)[]>;
}

interface Use {
  /** Of tenant, source and key: a key may hold anything, and be someone's secret. */
  readonly name: string;
  readonly digest: string;
  /** The digest and the model: as it is remembered. */
  readonly value: string;
}

function reused({ digest }: Use, before: string): SaccadeError {
  const other = before.startsWith(`${digest} `) ? `for the model ${before.slice(digest.length + 1)}` : 'with another picture';
  return new SaccadeError('idempotency_key_reused', `It came ${other} before: what is another request needs another key.`);
}

/**
 * `caches`: where keys are remembered, the nearest first; one that is away is done without. What none of them knows any more is still
 * no wrong answer, since the picture is part of the frame's id: it is a new frame. `rememberedMs`: as long as anybody goes on repeating
 * a request. A key takes 261 bytes of Redis, measured with 200,000 of them.
 */
export function usedKeys(caches: readonly Pick<Cache, 'get' | 'set'>[], rememberedMs: number): UsedKeys {
  /** Of requests whose frame is not in the log yet, and how many have each. */
  const inHand = new Map<string, { readonly value: string; requests: number }>();

  /** What another request in hand uses the key for; null: it is ours, too. */
  function take({ name, value }: Use): string | null {
    const held = inHand.get(name);
    if (held && held.value !== value) return held.value;
    inHand.set(name, { value, requests: (held?.requests ?? 0) + 1 });
    return null;
  }

  function letGo({ name }: Use): void {
    const { value, requests } = inHand.get(name)!;
    if (requests === 1) inHand.delete(name);
    else inHand.set(name, { value, requests: requests - 1 });
  }

  /** Of each name, what it was used for of late. */
  async function remembered(names: readonly string[]): Promise<(string | null)[]> {
    if (names.length === 0) return [];
    const found = await Promise.all(caches.map((cache) => cache.get(names).catch(() => names.map(() => null))));
    return names.map((_, i) => found.map((values) => values[i]).find((value) => value != null)?.toString() ?? null);
  }

  function remember(use: Use): void {
    for (const cache of caches) cache.set(use.name, Buffer.from(use.value), rememberedMs).catch(() => {});
  }

  return {
    async identify(tenant, source, pictures) {
      const digests = await pictureDigests(pictures.filter(({ key }) => key !== null).map(({ image }) => image));
      const uses = pictures.map(({ key, model }): Use | null => {
        if (key === null) return null;
        const digest = digests.shift()!.toString('hex');
        return { name: nameOf(tenant, source, key), digest, value: `${digest} ${model}` };
      });
      const others = uses.map((use) => use && take(use));
      const asked = uses.filter((use, i): use is Use => use !== null && others[i] === null);
      const earlier = new Map((await remembered(asked.map(({ name }) => name))).map((value, i) => [asked[i]!, value]));
      return uses.map((use, i): Identified | SaccadeError => {
        if (use === null) return { id: frameIdFromProducer(tenant, source, randomUUID()), done() {} };
        if (others[i] !== null) return reused(use, others[i]!);
        const before = earlier.get(use)!;
        if (before !== null && before !== use.value) {
          letGo(use);
          return reused(use, before);
        }
        return {
          id: frameIdFromRequest(tenant, source, pictures[i]!.key!, use.digest),
          done(accepted) {
            if (accepted) remember(use);
            letGo(use);
          },
        };
      });
    },
  };
}

const nameOf = (tenant: string, source: string, key: string): string =>
  `saccade:key:${createHash('sha256').update([tenant, source, key].map((part) => `${Buffer.byteLength(part)}:${part}`).join('')).digest('hex')}`;
