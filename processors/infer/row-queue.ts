/**
 * Rows waiting for a worker. Those somebody waits for go first, but not always: of so many turns one is of what has nobody who
 * waits. In each of the two lanes models take turns, so that a slow model's backlog does not starve a quick one, and of a
 * model the sources, so that a camera's backlog is its own.
 */

export interface Waiting {
  /** The graph to be run: rows of one graph can share a run. */
  readonly model: string;
  readonly source: string;
  /** Somebody waits for the answer: before what a camera sends. */
  readonly urgent: boolean;
  readonly pixels: Uint8Array;
  /** To be run in nobody's company: a row under suspicion. */
  readonly alone: boolean;
}

export interface RowQueue<T extends Waiting> {
  readonly bytes: number;
  readonly size: number;
  push(row: T): void;
  /** How many wait for the model whose turn it is: what take() could choose from; and whether somebody waits for the first of them. */
  waiting(): { readonly model: string; readonly rows: number; readonly urgent: boolean } | null;
  /** Up to `most` rows of one model, the one whose turn it is; none when nothing waits. */
  take(most: number): T[];
  /** Takes out the rows that match, wherever they stand. */
  remove(matches: (row: T) => boolean): T[];
}

/** By model, then by source, each served in turn. A Map keeps its keys in the order of insertion: what was served goes to the end. */
type Lane<T> = Map<string, Map<string, T[]>>;

/** Turns in a row that urgent rows may have while ordinary ones wait. */
export const urgentTurns = 7;

export function rowQueue<T extends Waiting>(): RowQueue<T> {
  const urgent: Lane<T> = new Map();
  const ordinary: Lane<T> = new Map();
  /** Turns that urgent rows have had while ordinary ones waited, since the last of these. */
  let passedOver = 0;
  let bytes = 0;
  let size = 0;

  const leave = (rows: T[]): T[] => {
    for (const row of rows) bytes -= row.pixels.length;
    size -= rows.length;
    return rows;
  };

  /** Whose turn it is: a model, and its rows of which lane first. */
  function turn(): { readonly model: string; readonly lanes: readonly [Lane<T>, Lane<T>] } | null {
    const urgentFirst = urgent.size > 0 && (ordinary.size === 0 || passedOver < urgentTurns);
    const lanes: [Lane<T>, Lane<T>] = urgentFirst ? [urgent, ordinary] : [ordinary, urgent];
    const [model] = lanes[0].keys();
    return model === undefined ? null : { model, lanes };
  }

  function draw(model: string, lanes: readonly Lane<T>[], most: number): T[] {
    const taken: T[] = [];
    for (const lane of lanes) {
      for (let lines = lane.get(model); lines && taken.length < most; lines = lane.get(model)) {
        const [source, line] = lines.entries().next().value!;
        if (taken.length > 0 && line[0]!.alone) return taken;
        const row = line.shift()!;
        passOn(lines, source, line.length > 0);
        passOn(lane, model, lines.size > 0);
        taken.push(row);
        if (row.alone) return taken;
      }
    }
    return taken;
  }

  return {
    get bytes() {
      return bytes;
    },
    get size() {
      return size;
    },
    push(row) {
      const lane = row.urgent ? urgent : ordinary;
      let lines = lane.get(row.model);
      if (!lines) lane.set(row.model, (lines = new Map()));
      const line = lines.get(row.source);
      if (line) line.push(row);
      else lines.set(row.source, [row]);
      bytes += row.pixels.length;
      size += 1;
    },
    waiting() {
      const next = turn();
      return next && { model: next.model, urgent: next.lanes[0] === urgent, rows: next.lanes.reduce((sum, lane) => sum + rowsOf(lane.get(next.model)), 0) };
    },
    take(most) {
      const next = turn();
      if (!next) return [];
      passedOver = next.lanes[0] === urgent && ordinary.size > 0 ? passedOver + 1 : 0;
      return leave(draw(next.model, next.lanes, most));
    },
    remove(matches) {
      const removed: T[] = [];
      for (const lane of [ordinary, urgent]) {
        for (const [model, lines] of lane) {
          for (const [source, line] of lines) {
            // Asked before every run, mostly in vain.
            if (!line.some(matches)) continue;
            removed.push(...line.filter(matches));
            const kept = line.filter((row) => !matches(row));
            if (kept.length > 0) lines.set(source, kept);
            else lines.delete(source);
          }
          if (lines.size === 0) lane.delete(model);
        }
      }
      return leave(removed);
    },
  };
}

/** It has had its turn: to the end, unless it is alone, or out when nothing of it is left. */
function passOn<V>(line: Map<string, V>, name: string, stays: boolean): void {
  if (stays && line.size === 1) return;
  const value = line.get(name)!;
  line.delete(name);
  if (stays) line.set(name, value);
}

const rowsOf = (lines: ReadonlyMap<string, readonly unknown[]> = new Map()): number => [...lines.values()].reduce((sum, line) => sum + line.length, 0);
