/** A look at a control topic, by a command that does not stay. */
import type { Log, LogProducer } from '../../connectors/ports.ts';

export interface Place {
  readonly log: Pick<Log, 'producer'>;
  /** Names of all topics there are. */
  topics(): Promise<readonly string[]>;
}

/**
 * What `read` finds in what has been followed to its end; `otherwise` where no pipeline has made the topic yet: it holds nothing, and
 * followers write into it. Throws log_unavailable.
 */
export async function glance<Followed extends { close(): Promise<void> }, Found>(
  { log, topics }: Place,
  topic: string,
  otherwise: Found,
  follow: (producer: LogProducer) => Promise<Followed>,
  read: (followed: Followed) => Found,
): Promise<Found> {
  if (!(await topics()).includes(topic)) return otherwise;
  const producer = await log.producer();
  try {
    const followed = await follow(producer);
    const found = read(followed);
    await followed.close();
    return found;
  } finally {
    await producer.close();
  }
}
