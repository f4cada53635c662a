/** Makes every writer of some topics hold, for as long as an action takes, and lets them go on whatever becomes of it. */
import { randomUUID } from 'node:crypto';
import { SaccadeError } from '../../connectors/errors.ts';
import { encodeJson, heldKeysOf, readHeld, readPause } from '../../schemas/pauses.ts';
import type { Output } from './command.ts';
import type { World } from './world.ts';

/** How long a writer holds without hearing of us; renewed three times in that. */
const leaseMs = 15_000;
const renewEveryMs = 5_000;
/** Left of every lease when a change is made, so that it is made before the first writer could go on. */
const marginMs = 4_000;
const pollMs = 200;

export interface HeldWriters {
  /** Throws overloaded unless every process that writes has answered a renewal whose lease still has a margin. */
  assure(): Promise<void>;
}

type Using = Pick<World, 'admin' | 'clock' | 'pauses' | 'followers'>;

/**
 * Calls `action` once every process that follows `pauses` has answered that it holds. `signal` ends the waiting; the action
 * sees to itself. Throws bad_request when the topics are paused already, and what `action` throws.
 */
export async function withWritersHeld<T>(world: Using, topics: readonly string[], by: string, output: Output, signal: AbortSignal, action: (held: HeldWriters) => Promise<T>): Promise<T> {
  const { admin, clock, pauses, followers } = world;
  refuseSecond(world, topics);
  const id = randomUUID();
  const ending = new AbortController();

  const renew = (): Promise<unknown> => {
    const at = clock.now();
    return Promise.all(topics.map((topic) => pauses.put(topic, encodeJson({ id, by, at, leaseMs }))));
  };

  /** Followers whose lease still has a margin, and all of them but this command. */
  async function answered(): Promise<{ readonly holding: number; readonly live: number }> {
    const live = (await admin.liveGroups(followers)).size - 1;
    const entries = pauses.entries();
    const good = (topic: string): number =>
      heldKeysOf(topic, entries.keys()).filter((key) => {
        const held = readHeld(entries.get(key)!);
        return held?.id === id && held.at + leaseMs - marginMs > clock.now();
      }).length;
    return { holding: Math.min(...topics.map(good)), live };
  }

  async function untilHeld(): Promise<void> {
    for (let said = ''; ; await clock.sleep(pollMs, signal)) {
      signal.throwIfAborted();
      const { holding, live } = await answered();
      const line = `writers: ${holding} of ${live} processes hold`;
      if (line !== said) output.say((said = line));
      if (holding >= live) return;
    }
  }

  async function renewing(): Promise<void> {
    while (!ending.signal.aborted) {
      await clock.sleep(renewEveryMs, ending.signal);
      // A renewal that fails is noticed by assure().
      if (!ending.signal.aborted) await renew().catch(() => {});
    }
  }

  await renew();
  const renewals = renewing();
  try {
    await untilHeld();
    return await action({
      async assure() {
        const { holding, live } = await answered();
        if (holding < live) throw new SaccadeError('overloaded', `Only ${holding} of ${live} processes hold ${topics.join(', ')}.`);
      },
    });
  } finally {
    ending.abort();
    await renewals;
    await letGo(pauses, topics);
    output.say(`writers go on: ${topics.join(', ')}`);
  }
}

/** Of two that hold the same writers, the first to be done would let them go under the other's feet. */
function refuseSecond({ pauses, clock }: Using, topics: readonly string[]): void {
  for (const topic of topics) {
    const value = pauses.entries().get(topic);
    const pause = value === undefined ? null : readPause(value);
    if (pause && clock.now() < pause.at + pause.leaseMs) {
      throw new SaccadeError('bad_request', `${topic} is paused by ${pause.by} already; if that was killed, its pause ends by itself within ${pause.leaseMs / 1000} s.`);
    }
  }
}

/** Also removes what processes that died meanwhile have answered: a compacted topic would keep it for ever. */
async function letGo(pauses: World['pauses'], topics: readonly string[]): Promise<void> {
  for (const topic of topics) {
    await pauses.put(topic, null);
    for (const key of heldKeysOf(topic, pauses.entries().keys())) await pauses.put(key, null);
  }
}
