/**
 * Rows waiting for a worker. Models take turns, so that a slow model's backlog does not starve a quick one; of a model's rows
 * those somebody waits for go first, and within each the sources take turns, so that a camera's backlog is its own.
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
  /** How many wait for the model whose turn it is: what take() could choose from. */
  waiting(): { readonly model: string; readonly rows: number } | null;
  /** Up to `most` rows of one model, the one whose turn it is; none when nothing waits. */
  take(most: number): T[];
  /** Takes out the rows that match, wherever they stand. */
  remove(matches: (row: T) => boolean): T[];
}

/** Lines by name, served in turn. A Map keeps its keys in the order of insertion: what was served goes to the end. */
interface Lines<T> {
  readonly urgent: Map<string, T[]>;
  readonly ordinary: Map<string, T[]>;
}

export function rowQueue<T extends Waiting>(): RowQueue<T> {
  const models = new Map<string, Lines<T>>();
  let bytes = 0;
  let size = 0;

  const leave = (rows: T[]): T[] => {
    for (const row of rows) bytes -= row.pixels.length;
    size -= rows.length;
    return rows;
  };
  const count = ({ urgent, ordinary }: Lines<T>): number => [...urgent.values(), ...ordinary.values()].reduce((sum, line) => sum + line.length, 0);

  /** A model with an urgent row before the others; else the one that was served longest ago. */
  function turn(): [string, Lines<T>] | undefined {
    let first: [string, Lines<T>] | undefined;
    for (const entry of models) {
      if (entry[1].urgent.size > 0) return entry;
      first ??= entry;
    }
    return first;
  }

  /** The next row in turn, left where it is. */
  const head = ({ urgent, ordinary }: Lines<T>): { lines: Map<string, T[]>; source: string; line: T[] } | null => {
    const lines = urgent.size > 0 ? urgent : ordinary;
    const next = lines.entries().next().value;
    return next ? { lines, source: next[0], line: next[1] } : null;
  };

  function draw(from: Lines<T>, most: number): T[] {
    const taken: T[] = [];
    while (taken.length < most) {
      const next = head(from);
      if (!next || (taken.length > 0 && next.line[0]!.alone)) break;
      const row = next.line.shift()!;
      next.lines.delete(next.source);
      if (next.line.length > 0) next.lines.set(next.source, next.line);
      taken.push(row);
      if (row.alone) break;
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
      let lines = models.get(row.model);
      if (!lines) models.set(row.model, (lines = { urgent: new Map(), ordinary: new Map() }));
      const among = row.urgent ? lines.urgent : lines.ordinary;
      const line = among.get(row.source);
      if (line) line.push(row);
      else among.set(row.source, [row]);
      bytes += row.pixels.length;
      size += 1;
    },
    waiting() {
      const next = turn();
      return next ? { model: next[0], rows: count(next[1]) } : null;
    },
    take(most) {
      const next = turn();
      if (!next) return [];
      const [model, lines] = next;
      const taken = draw(lines, most);
      models.delete(model);
      if (count(lines) > 0) models.set(model, lines);
      return leave(taken);
    },
    remove(matches) {
      const removed: T[] = [];
      for (const [model, lines] of models) {
        for (const among of [lines.urgent, lines.ordinary]) {
          for (const [source, line] of among) {
            removed.push(...line.filter(matches));
            const kept = line.filter((row) => !matches(row));
            if (kept.length > 0) among.set(source, kept);
            else among.delete(source);
          }
        }
        if (count(lines) === 0) models.delete(model);
      }
      return leave(removed);
    },
  };
}
