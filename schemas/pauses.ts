/**
 * Records of the control topic `pauses`: whoever changes a topic asks its writers to hold. Key = topic, value = Pause as
 * JSON, or nothing: the pause is over. Each process that writes answers under a key of its own once it holds.
 */

export interface Pause {
  /** Of this pause: an answer to an earlier one does not count. */
  readonly id: string;
  /** Who asked, for a person. */
  readonly by: string;
  /** When this renewal was written, milliseconds since the epoch by the asker's clock. */
  readonly at: number;
  /** How long after reading it a writer holds, unless a later renewal comes. A killed asker cannot stop the stream for ever. */
  readonly leaseMs: number;
}

/** A writer holds, by the renewal it has seen last. */
export type Held = Pick<Pause, 'id' | 'at'>;

export const pausesTopic = 'pauses';

const heldPrefix = 'held/';
/** No topic's name holds a slash. */
export const heldKey = (topic: string, instance: string): string => `${heldPrefix}${topic}/${instance}`;
export const isHeldKey = (key: string): boolean => key.startsWith(heldPrefix);
export const heldKeysOf = (topic: string, keys: Iterable<string>): string[] => [...keys].filter((key) => key.startsWith(`${heldPrefix}${topic}/`));

export const encodeJson = (value: Pause | Held): Buffer => Buffer.from(JSON.stringify(value));

const fieldsOf = (value: Buffer): Partial<Record<keyof Pause, unknown>> => {
  try {
    return (JSON.parse(value.toString()) as Partial<Record<keyof Pause, unknown>> | null) ?? {};
  } catch {
    return {};
  }
};

/** Null for what is not a pause. */
export function readPause(value: Buffer): Pause | null {
  const { id, by, at, leaseMs } = fieldsOf(value);
  return typeof id === 'string' && typeof by === 'string' && typeof at === 'number' && typeof leaseMs === 'number' ? { id, by, at, leaseMs } : null;
}

/** Null for what is not an answer to a pause. */
export function readHeld(value: Buffer): Held | null {
  const { id, at } = fieldsOf(value);
  return typeof id === 'string' && typeof at === 'number' ? { id, at } : null;
}
