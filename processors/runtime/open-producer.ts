/** The producer through which a process sends everything, and which holds what a command asks to be held. */
import type { Clock, Log } from '../../connectors/ports.ts';
import { followPauses } from './follow-pauses.ts';
import type { Logger } from './logger.ts';
import { type PausableProducer, pausableProducer } from './pausable-producer.ts';

/** Resolves once the pauses there are have been read: a process that starts in one holds too. Throws log_unavailable. */
export async function openProducer({ log, clock, logger, topic }: { readonly log: Log; readonly clock: Clock; readonly logger: Logger; readonly topic?: string }): Promise<PausableProducer> {
  const producer = await pausableProducer(() => log.producer(), clock, logger);
  let pauses;
  try {
    pauses = await followPauses({ log, producer, clock, logger, ...(topic === undefined ? {} : { topic }) });
  } catch (error) {
    await producer.close();
    throw error;
  }
  return {
    ...producer,
    async close() {
      await pauses.close();
      await producer.close();
    },
  };
}
