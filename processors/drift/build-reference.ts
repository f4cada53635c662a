/** Makes a reference of windows that have been: what was normal then is normal from now on. */
import { SaccadeError } from '../../connectors/errors.ts';
import { type Block, unpackBlocks } from './blocks.ts';
import { joinBlocks, leastBlocks, mostBlocks, type Reference, type ReferencePart } from './reference.ts';

/** A window of five minutes as the store has it. */
export interface StoredWindow {
  readonly start: number;
  readonly end: number;
  /** As in the topic. */
  readonly blocks: Buffer;
}

/** Minutes of the day in UTC between which it is day. */
export interface Daytime {
  readonly from: number;
  readonly to: number;
}

export interface BuildOptions {
  readonly version: string;
  readonly madeAt: number;
  readonly of: string;
  /** By start. */
  readonly windows: readonly StoredWindow[];
  /** Null: one part for all day. */
  readonly day: Daytime | null;
}

const partsOf = (day: Daytime | null): Omit<ReferencePart, 'blocks'>[] =>
  day === null ? [{ name: 'all day', from: 0, to: 0 }] : [{ name: 'day', ...day }, { name: 'night', from: day.to, to: day.from }];

const inPart = ({ from, to }: Omit<ReferencePart, 'blocks'>, { start, end }: StoredWindow): boolean => {
  const minute = Math.floor((((start + end) / 2) % 86_400_000) / 60_000);
  return from < to ? minute >= from && minute < to : minute >= from || minute < to;
};

/** A part without windows is left out: nothing is said of that time then. Throws bad_request when a part has too few. */
export function buildReference({ version, madeAt, of, windows, day }: BuildOptions): Reference {
  const parts = partsOf(day).flatMap((part): ReferencePart[] => {
    const blocks = windows.filter((window) => inPart(part, window)).flatMap(({ blocks: bytes }): Block[] => unpackBlocks(bytes));
    if (blocks.length === 0) return [];
    if (blocks.length < leastBlocks) {
      throw new SaccadeError('bad_request', `${part.name}: ${blocks.length} blocks of half a minute or more say too little of what is normal; ${leastBlocks} are needed, a day is good.`);
    }
    return [{ ...part, blocks: joinBlocks(blocks, mostBlocks) }];
  });
  if (parts.length === 0) throw new SaccadeError('bad_request', 'No window has been seen in that time.');
  return { version, madeAt, from: windows[0]!.start, to: windows.at(-1)!.end, of, parts };
}
