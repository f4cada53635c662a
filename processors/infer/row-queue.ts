/** Rows waiting for a worker: a line for each model, served in turn, so that a slow model's backlog does not starve a quick one. */

export interface Waiting {
  readonly model: string;
  readonly pixels: Uint8Array;
  /** To be run in nobody's company: a row under suspicion. */
  readonly alone: boolean;
}

export interface RowQueue<T extends Waiting> {
  readonly bytes: number;
  push(row: T): void;
  /** Up to `most` rows of one model, the one whose turn it is; none when nothing waits. */
  take(most: number): T[];
  /** Takes out the rows that match, wherever they stand. */
  remove(matches: (row: T) => boolean): T[];
}

export function rowQueue<T extends Waiting>(): RowQueue<T> {
  // A Map keeps its keys in the order of insertion: the model served goes to the end.
  const lines = new Map<string, T[]>();
  let bytes = 0;
  const leave = (rows: T[]): T[] => {
    for (const row of rows) bytes -= row.pixels.length;
    return rows;
  };
  return {
    get bytes() {
      return bytes;
    },
    push(row) {
      const line = lines.get(row.model);
      if (line) line.push(row);
      else lines.set(row.model, [row]);
      bytes += row.pixels.length;
    },
    take(most) {
      const turn = lines.entries().next().value;
      if (!turn) return [];
      const [model, line] = turn;
      const company = line[0]!.alone ? 1 : line.findIndex((row) => row.alone);
      const taken = line.splice(0, company < 0 ? most : Math.min(most, company));
      lines.delete(model);
      if (line.length > 0) lines.set(model, line);
      return leave(taken);
    },
    remove(matches) {
      const removed: T[] = [];
      for (const [model, line] of lines) {
        const kept = line.filter((row) => !matches(row));
        removed.push(...line.filter(matches));
        if (kept.length > 0) lines.set(model, kept);
        else lines.delete(model);
      }
      return leave(removed);
    },
  };
}
