/** What every invariant is: a name, and a look at each thing that comes out. It answers what is wrong, or null. */
import type { LogRecord } from '../../../connectors/ports.ts';
import type { Facts, Read } from '../world/facts.ts';
import type { Scenario } from '../world/scenario.ts';
import type { StoredRow, Table } from '../world/table.ts';

/** What may be known by looking from outside. */
export interface Evidence {
  readonly facts: Facts;
  readonly table: Table;
  readonly scenario: Scenario;
  records(topic: string): readonly LogRecord[];
}

export interface Commit {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly before: number;
  readonly offset: number;
  /** The records that the commit declares done. */
  readonly records: readonly LogRecord[];
}

/** A consumer's holdings after a delivery: what it was given in this generation and has no durable result yet. */
export interface Holding {
  readonly member: string;
  readonly partitions: number;
  readonly unfinished: readonly LogRecord[];
  /** What it was handed just now. */
  readonly fetched: readonly LogRecord[];
}

export interface Invariant {
  readonly name: string;
  appended?(read: Read): string | null;
  committed?(commit: Commit): string | null;
  delivered?(holding: Holding): string | null;
  inserted?(row: StoredRow): string | null;
  /** Once everything has settled. */
  settled?(): string | null;
}

export const placeOf = ({ topic, partition, offset }: { topic: string; partition: number; offset: number }): string => `${topic}/${partition}@${offset}`;
