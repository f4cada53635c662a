/** Lets the producer of this process hold what the control topic `pauses` says, and answers there that it does. */
import { randomUUID } from 'node:crypto';
import type { Clock, Log } from '../../connectors/ports.ts';
import { encodeJson, heldKey, isHeldKey, type Pause, pausesTopic, readPause } from '../../schemas/pauses.ts';
import { followTable } from './control-table.ts';
import type { Logger } from './logger.ts';
import type { PausableProducer } from './pausable-producer.ts';

/** A pause written longer ago than its lease and this was left by a command that was killed; clocks differ by less. */
const clockSkewMs = 60_000;

export interface Pauses {
  close(): Promise<void>;
}

export interface FollowPausesOptions {
  readonly log: Log;
  readonly producer: PausableProducer;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly topic?: string;
}

/**
 * Resolves once the pauses there are have been read and are held: what this process writes from then on respects them.
 * A pause ends when its record is removed, or when its lease has run out without a renewal. Throws log_unavailable.
 */
export async function followPauses({ log, producer, clock, logger, topic: table = pausesTopic }: FollowPausesOptions): Promise<Pauses> {
  const instance = randomUUID();
  const leases = new Map<string, AbortController>();
  const put = (key: string, value: Buffer | null): Promise<void> => producer.send([{ topic: table, key, value, partition: 0 }]);
  const told = (what: string) => (error: unknown): void => logger.warn({ error: String(error) }, what);

  function end(topic: string, why: string): void {
    const lease = leases.get(topic);
    if (!lease) return;
    lease.abort();
    leases.delete(topic);
    logger.info({ topic }, why);
    producer.release(topic).then(() => put(heldKey(topic, instance), null)).catch(told('the end of a pause could not be acknowledged'));
  }

  function begin(topic: string, pause: Pause): void {
    if (clock.now() - pause.at > pause.leaseMs + clockSkewMs) return;
    const earlier = leases.get(topic);
    earlier?.abort();
    const lease = new AbortController();
    leases.set(topic, lease);
    void clock.sleep(pause.leaseMs, lease.signal).then(() => {
      if (!lease.signal.aborted) end(topic, 'a pause has outlived whoever asked for it: writing goes on');
    });
    if (!earlier) logger.info({ topic, by: pause.by }, 'writing to a topic is paused');
    producer
      .hold(topic)
      .then(() => (leases.get(topic) === lease ? put(heldKey(topic, instance), encodeJson({ id: pause.id, at: pause.at })) : undefined))
      .catch(told('a pause could not be acknowledged'));
  }

  const followed = await followTable({
    log,
    producer,
    clock,
    topic: table,
    changed(key, value) {
      if (isHeldKey(key)) return;
      const pause = value === null ? null : readPause(value);
      if (pause) begin(key, pause);
      else end(key, 'writing to a topic goes on');
    },
  });
  return {
    async close() {
      for (const lease of leases.values()) lease.abort();
      leases.clear();
      await followed.close();
    },
  };
}
