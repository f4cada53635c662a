/**
 * The overflow lane's reader: the stage that reads the usual lane, under a name of its own, held back in two ways. A frame
 * waits until its source's earlier frames have left the usual lane, and all of them wait for room in the chain behind.
 */
import { SaccadeError } from '../../connectors/errors.ts';
import type { Clock, Headers } from '../../connectors/ports.ts';
import { inputTopic } from '../../schemas/topics.ts';
import { drop, type Input, type Outcome, type Stage } from '../stage.ts';
import type { Lane } from './lanes.ts';
import type { Passage } from './passage.ts';
import type { Room } from './room.ts';

/** `partition@offset` in ingest's topic, whose name follows where it is not frames.in: below it the source's frames took the usual lane. */
const afterHeader = 'saccade-after';

export const overflowHeaders = ({ partition, offset }: NonNullable<Lane>, topic: string): Headers => ({ [afterHeader]: `${partition}@${offset}${topic === inputTopic ? '' : `@${topic}`}` });

/** Null where there is nothing to wait for: frames of the edge have no order to keep. */
function afterOf({ headers }: Input<unknown>): { partition: number; offset: number; topic: string } | null {
  const match = /^(\d{1,10})@(\d{1,16})(?:@(.+))?$/.exec(headers[afterHeader] ?? '');
  return match ? { partition: Number(match[1]), offset: Number(match[2]), topic: match[3] ?? inputTopic } : null;
}

export interface OverflowOptions {
  /** Of the usual lane, for what came by this input; null: this process knows of no such input. */
  passage(topic: string): Passage | null;
  readonly room: Room;
  readonly clock: Clock;
  /** The process is to end: what waits then is left to the next owner. */
  closing(): boolean;
}

const lookEveryMs = 100;

export function overflowStage<T>(stage: Stage<T>, { passage, room, clock, closing }: OverflowOptions): Stage<T> {
  const closed = (): SaccadeError => new SaccadeError('not_ready', 'The overflow lane is closing.');

  function free(input: Input<T>): boolean {
    const after = afterOf(input);
    // An input that is none any more is read by nobody: what came by it has left the usual lane long since.
    return after === null || (passage(after.topic)?.passed(after.partition, after.offset) ?? true);
  }

  async function freed(input: Input<T>, over: () => boolean): Promise<void> {
    while (!free(input)) {
      if (over()) throw closed();
      await passage(afterOf(input)!.topic)?.look();
      if (!free(input)) await clock.sleep(lookEveryMs);
    }
  }

  /** Half of what life is left on the way in: a frame let through at the last moment would only be dropped behind the decoding. */
  function deadline(input: Input<T>): number | null {
    const last = stage.deadline?.(input) ?? null;
    return last === null ? null : Math.min(last, (input.origin.timestamp + last) / 2);
  }

  let resting = 0;
  async function rest<R>(until: () => Promise<R>): Promise<R> {
    resting += 1;
    try {
      return await until();
    } finally {
      resting -= 1;
    }
  }

  const late = (input: Input<T>): boolean => (deadline(input) ?? Infinity) < clock.now();

  // It is started and stopped by the step that it serves in the usual lane.
  const { start: _start, stop: _stop, ...same } = stage;
  return {
    ...same,
    deadline,
    name: `${stage.name}.overflow`,
    // A few at a time: what is let in at once stands before the neighbours' next frame.
    batch: { ...stage.batch, records: 8, concurrency: 1 },
    resting: () => resting > 0,
    // The guard goes along: a record that kills its process does so in this lane too.
    async process(batch, generation, guard) {
      const over = (): boolean => generation.aborted || closing();
      const outcomes: Outcome[] = [];
      while (outcomes.length < batch.length) {
        const next = batch[outcomes.length]!;
        await rest(() => freed(next, over));
        // It may have waited long since the runtime looked.
        if (late(next)) {
          outcomes.push(drop('deadline'));
          continue;
        }
        const waiting = batch.slice(outcomes.length);
        const held = waiting.findIndex((input) => late(input) || !free(input));
        const granted = await rest(() => room.take(held < 0 ? waiting.length : Math.max(1, held), over));
        if (granted === 0) throw closed();
        outcomes.push(...(await stage.process(waiting.slice(0, granted), generation, guard)));
      }
      return outcomes;
    },
  };
}
