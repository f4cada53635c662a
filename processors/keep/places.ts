/** Where pictures lie in the log, as the store knows it. */
import type { Place } from '../../schemas/records.ts';

export interface Placed {
  /** Null: nowhere, as where the edge gave the answer itself. */
  readonly place: Place | null;
  readonly size: number;
  readonly captured_at: number;
}

/** Of those that are stored. Throws what asking the store throws. */
export type FindPlaces = (tenant: string, source: string | null, frames: readonly string[]) => Promise<ReadonlyMap<string, Placed>>;

type Ask = <T>(sql: string, params: Readonly<Record<string, unknown>>) => Promise<T[]>;

interface Row {
  readonly frame: string;
  readonly captured_ms: number;
  readonly bytes: number;
  readonly topic: string;
  readonly in_partition: number;
  readonly at_offset: number | string;
}

/** The source, where it is known, spares most of the search: rows lie in its order. Of the rows of a frame's models any with a place will do. */
const question = `
  WITH argMax((size, log_topic, log_partition, log_offset), log_topic != '') AS placed
  SELECT toString(frame_id) AS frame, any(toUnixTimestamp64Milli(captured_at)) AS captured_ms, placed.1 AS bytes, placed.2 AS topic, placed.3 AS in_partition, placed.4 AS at_offset
  FROM predictions_raw
  WHERE tenant = {tenant:String} AND ({source:String} = '' OR source = {source:String}) AND frame_id IN {frames:Array(UUID)}
  GROUP BY frame_id`;

export function findPlaces(ask: Ask): FindPlaces {
  return async (tenant, source, frames) => {
    const rows = await ask<Row>(question, { tenant, source: source ?? '', frames });
    return new Map(rows.map(({ frame, captured_ms, bytes, topic, in_partition, at_offset }) => [frame, { captured_at: Number(captured_ms), size: bytes, place: topic === '' ? null : { topic, partition: in_partition, offset: Number(at_offset) } }]));
  };
}
