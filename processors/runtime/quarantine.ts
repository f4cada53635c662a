/**
 * Finds the record that kills the process which works on it: a native abort or a lack of memory leaves no error to catch,
 * only a journal of who was in work.
 *
 * In work is what a stage's guard holds: records inside native code. Whoever was in work when a process died is a suspect. A
 * suspect runs alone: nothing else is in work in the whole process, in no stage, so a death then has one possible culprit
 * among the records. One that comes through is free, and all that was held against it is forgotten; one that was alone at
 * `deathsToCondemn` deaths is dead-lettered. A killer so costs one death in company and three alone, however many stood
 * beside it: halving the company would cost more deaths, not fewer, because a suspect alone costs no more than its own work.
 *
 * Only deaths alone count. A process that is killed from outside makes suspects of all it had in work, and each of them
 * comes through at its first run alone. To condemn an innocent, three kills in a row must each strike within the one run
 * of that record: for runs of 10 ms and a kill every 10 s, once in 10^9 suspects. A stop in order is no death, since it
 * closes the journal; nor is the time counted that a record waits for its blob, since it is not in work then.
 *
 * What it cannot see: a record that spoils memory and is gone when the process dies. Then each of the others comes
 * through alone, and the process dies again.
 */
import type { InWork, WorkJournal } from '../../connectors/ports.ts';
import type { Guard, Input } from '../stage.ts';
import { gate } from './gate.ts';

/** Of the environment's deaths (an operator's kill -9) two may still be chance. */
export const deathsToCondemn = 3;

export interface Quarantine {
  /** Looks for new deaths. To be called whenever partitions come: only then can what a dead process had in work be here. */
  inspect(): void;
  /** Deaths at which this input was alone in this stage; null when it is under no suspicion. */
  deathsAlone(stage: string, input: Input): number | null;
  /** Runs inputs in company, but a suspect with nothing else in work in this process. */
  guard(stage: string): Guard;
  /** It came through. */
  acquit(stage: string, input: Input): void;
}

export function quarantine(journal: WorkJournal): Quarantine {
  const door = gate();
  const inWork = new Set<InWork>();
  let suspects = new Map<string, number>();
  let stale = false;

  function write(alone: boolean): void {
    stale = false;
    journal.write([...inWork], alone);
  }

  /** Under load the next batch begins before this runs, and one write does for the end of one and the beginning of the other. */
  function writeSoon(): void {
    if (stale) return;
    stale = true;
    setImmediate(() => {
      if (stale) write(false);
    });
  }

  return {
    inspect() {
      suspects = new Map();
      for (const { alone, records } of journal.deaths()) {
        for (const record of records) suspects.set(keyOf(record), (suspects.get(keyOf(record)) ?? 0) + (alone ? 1 : 0));
      }
    },
    deathsAlone: (stage, input) => (suspects.size === 0 ? null : (suspects.get(keyOf(inWorkOf(stage, input))) ?? null)),
    guard: (stage) => (inputs, run) => {
      const records = inputs.map((input) => inWorkOf(stage, input));
      const alone = records.length === 1 && suspects.has(keyOf(records[0]!));
      return (alone ? door.alone : door.together)(async () => {
        for (const record of records) inWork.add(record);
        write(alone);
        try {
          return await run();
        } finally {
          for (const record of records) inWork.delete(record);
          // Alone, at once: a kill from outside a moment later must not count against it.
          if (alone) write(false);
          else writeSoon();
        }
      });
    },
    acquit(stage, input) {
      const record = inWorkOf(stage, input);
      if (suspects.delete(keyOf(record))) journal.clear(record);
    },
  };
}

const keyOf = ({ stage, topic, partition, offset, timestamp }: InWork): string => `${stage} ${topic} ${partition} ${offset} ${timestamp}`;

const inWorkOf = (stage: string, { origin: { topic, partition, offset, timestamp } }: Pick<Input, 'origin'>): InWork => ({ stage, topic, partition, offset, timestamp });
