/**
 * Lets a consumer that has nothing to read ask less often. kafkajs waits as long at the broker whether records come or not, and
 * sends a heartbeat after each wait: a process with a dozen groups, most of which have nothing to do most of the time, asks a
 * hundred times a second, which costs it and the broker a tenth of a processor. Here a fetch of one that has been idle for a while
 * waits longer. What comes is handed over at once all the same; only a rebalance, or its end, learns of it a second later, of a
 * group whose partitions lie idle anyway.
 *
 * It reaches into kafkajs 2.2.4, which is pinned; test/idle-fetch.test.ts would tell.
 */
import { createRequire } from 'node:module';

interface ConsumerGroup {
  maxWaitTime: number;
  minBytes: number;
  readonly subscriptionState: { paused(): readonly { readonly partitions: readonly number[] }[] };
  fetch(nodeId: string): Promise<readonly { readonly messages: readonly unknown[] }[]>;
}

interface Usual {
  readonly waitMs: number;
  readonly minBytes: number;
  /** When it last had records, or began; milliseconds since the epoch. */
  since: number;
}

const idleAfterMs = 10_000;
const idleWaitMs = 1_000;

export function restWhenIdle({ prototype }: { readonly prototype: ConsumerGroup }): void {
  const usual = new WeakMap<ConsumerGroup, Usual>();
  const { fetch } = prototype;
  prototype.fetch = async function (nodeId) {
    let own = usual.get(this);
    if (!own) usual.set(this, (own = { waitMs: this.maxWaitTime, minBytes: this.minBytes, since: Date.now() }));
    const quietMs = Date.now() - own.since;
    // The clock may have been set back. Where partitions are paused, a resume waits for the end of the fetch.
    const idle = (quietMs < 0 || quietMs >= idleAfterMs) && !this.subscriptionState.paused().some(({ partitions }) => partitions.length > 0);
    this.maxWaitTime = idle ? Math.max(own.waitMs, idleWaitMs) : own.waitMs;
    // One that lets records gather would else let the first ones gather for as long.
    this.minBytes = idle ? 1 : own.minBytes;
    const batches = await fetch.call(this, nodeId);
    if (batches.some(({ messages }) => messages.length > 0)) own.since = Date.now();
    return batches;
  };
}

restWhenIdle(createRequire(import.meta.url)('kafkajs/src/consumer/consumerGroup') as { readonly prototype: ConsumerGroup });
