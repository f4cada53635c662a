/** Shows every invariant what comes out of the world, and keeps what they object to. */
import type { LogRecord } from '../../../connectors/ports.ts';
import type { Evidence, Invariant } from '../invariants/invariant.ts';
import { allInvariants } from '../invariants/all.ts';
import type { Broker } from './broker.ts';
import type { Groups, Member } from './groups.ts';
import type { Life } from '../process/life.ts';

export interface Violation {
  readonly invariant: string;
  readonly detail: string;
  /** Virtual milliseconds. */
  readonly at: number;
}

export interface Judge {
  /** The first objection of each invariant, in the order in which they were raised. */
  readonly violations: readonly Violation[];
  violated(invariant: string, detail: string): void;
  assigned(member: Member, life: Life, partitions: number): void;
  delivered(member: Member, records: readonly LogRecord[]): void;
  settled(): void;
}

export function createJudge(evidence: Omit<Evidence, 'records'>, broker: Broker, groups: Groups, now: () => number): Judge {
  const { facts, table } = evidence;
  const invariants = allInvariants({ ...evidence, records: (topic) => broker.all(topic) });
  const holdings = new Map<Member, { partitions: number; unfinished: LogRecord[] }>();
  const violations = new Map<string, Violation>();

  function violated(invariant: string, detail: string): void {
    if (!violations.has(invariant)) violations.set(invariant, { invariant, detail, at: now() });
  }

  function ask(question: (invariant: Invariant) => string | null | undefined): void {
    for (const invariant of invariants) {
      const objection = question(invariant);
      if (objection) violated(invariant.name, objection);
    }
  }

  broker.onAppend((record) => {
    const read = facts.appended(record);
    ask((invariant) => invariant.appended?.(read));
  });
  table.onInsert((row) => ask((invariant) => invariant.inserted?.(row)));
  groups.onCommit((group, { topic, partition, offset }, before) => {
    const records = broker.range({ topic, partition }, before, offset);
    ask((invariant) => invariant.committed?.({ group: group.name, topic, partition, before, offset, records }));
  });

  return {
    get violations() {
      return [...violations.values()];
    },
    violated,
    assigned(member, life, partitions) {
      holdings.set(member, { partitions, unfinished: [] });
      life.onEnd(() => holdings.delete(member));
    },
    delivered(member, records) {
      const holding = holdings.get(member)!;
      const done = (record: LogRecord): boolean => facts.resultsDurable(record) && (!facts.mustBeLetter(record) || facts.lettersOf(record).length > 0);
      holding.unfinished = [...holding.unfinished, ...records].filter((record) => !done(record));
      ask((invariant) => invariant.delivered?.({ member: `${member.name} (${member.topic})`, fetched: records, ...holding }));
    },
    settled() {
      ask((invariant) => invariant.settled?.());
    },
  };
}
