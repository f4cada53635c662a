/**
 * The windows of one stream (a source seen by a version of a model), by event time: of five minutes, summed up to hours and
 * days. A window ends when the stream's own clock, the watermark, has passed it; other streams have no part in that.
 */
import type { Prediction } from '../../schemas/records.ts';
import { addToBlock, type Block, blockAt } from './blocks.ts';
import { addExample, type Examples, mergeExamples, noExamples } from './examples.ts';
import { addFrame, emptySketch, merge, type Sketch } from './sketch.ts';
import { type MappedEmbedding, mapEmbedding } from './statistics/embedding-map.ts';

const minuteMs = 60_000;
export const windowMs = 5 * minuteMs;
/** Frames that come later than this behind the newest one of their stream may miss their window. */
export const latenessMs = 30_000;
export const leastFrames = 500;
/** A window grows until it holds enough frames, but not for ever: a stream that is all but dead is told of too. */
const longestMs = 24 * 60 * minuteMs;

export type Span = '5m' | '1h' | '24h';
const sums = [
  { span: '1h', ms: 60 * minuteMs },
  { span: '24h', ms: 24 * 60 * minuteMs },
] as const satisfies { span: Span; ms: number }[];

interface OpenWindow {
  readonly start: number;
  end: number;
  readonly blocks: Block[];
  readonly examples: Examples;
}

interface OpenSum {
  readonly span: Span;
  readonly start: number;
  readonly end: number;
  readonly total: Sketch;
  /** Frames that had missed their window and count here alone. */
  late: number;
  /** Of an hour, from its windows: a day is not judged. Absent in a day, and in what was written before hours had them. */
  examples?: Examples;
}

/** Plain data: it is written down as it is. */
export interface Windows {
  /** The newest event time seen. */
  watermark: number;
  /** End of the last window of five minutes that was closed. */
  closedUntil: number;
  /** By start; more than one while late frames may still come. */
  readonly open: OpenWindow[];
  readonly sums: OpenSum[];
  /** Frames since the last window that had missed theirs. */
  late: number;
}

export interface ClosedWindow {
  readonly span: Span;
  readonly start: number;
  readonly end: number;
  readonly total: Sketch;
  /** Of a window of five minutes, or one that has grown; none of a sum. */
  readonly blocks: readonly Block[];
  readonly examples: Examples;
  readonly late: number;
}

export const noWindows = (): Windows => ({ watermark: 0, closedUntil: 0, open: [], sums: [], late: 0 });

/** When the frame was taken. A camera's clock that runs ahead must not close windows before their time: no frame was taken after it came in. */
export const eventTime = ({ captured_at, accepted_at }: Prediction): number => Math.max(0, Math.min(captured_at, accepted_at));

const startOf = (at: number, ms: number): number => at - (at % ms);

/** Counts a frame; answers the windows that are over by it. */
export function add(windows: Windows, prediction: Prediction): ClosedWindow[] {
  const at = eventTime(prediction);
  const { embedding: bytes } = prediction;
  const embedding = prediction.status === 'ok' && bytes && bytes.length % 4 === 0 ? mapEmbedding(floats(bytes)) : null;
  if (at < windows.closedUntil) addLate(windows, at, prediction, embedding);
  else {
    const window = windowAt(windows, at);
    addToBlock(blockAt(window.blocks, at), prediction, embedding);
    addExample(window.examples, prediction, embedding);
  }
  windows.watermark = Math.max(windows.watermark, at);
  return closeDue(windows);
}

/** A copy, since the bytes of a record need not lie where floats may. */
const floats = (bytes: Buffer): Float32Array => new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));

/** It goes to the smallest sum that is still open. */
function addLate(windows: Windows, at: number, prediction: Prediction, embedding: MappedEmbedding | null): void {
  windows.late += 1;
  const sum = windows.sums.find(({ start, end }) => at >= start && at < end);
  if (!sum) return;
  addFrame(sum.total, prediction, embedding);
  sum.late += 1;
}

function windowAt({ open, closedUntil }: Windows, at: number): OpenWindow {
  const found = open.find(({ start, end }) => at >= start && at < end);
  if (found) return found;
  // One that has grown may end within what would be a whole window.
  const before = open.findLast(({ end }) => end <= at);
  const behind = open.findIndex(({ start }) => start > at);
  const start = Math.max(startOf(at, windowMs), before?.end ?? 0, closedUntil);
  const window: OpenWindow = { start, end: startOf(at, windowMs) + windowMs, blocks: [], examples: noExamples() };
  open.splice(behind < 0 ? open.length : behind, 0, window);
  return window;
}

const framesIn = ({ blocks }: OpenWindow): number => blocks.reduce((sum, { frames }) => sum + frames, 0);

function closeDue(windows: Windows): ClosedWindow[] {
  const closed: ClosedWindow[] = [];
  const passed = windows.watermark - latenessMs;
  for (let first = windows.open[0]; first && passed >= first.end; first = windows.open[0]) {
    if (framesIn(first) < leastFrames && first.end - first.start < longestMs) grow(windows, first);
    else closed.push(close(windows, windows.open.shift()!));
  }
  // What is still open may begin within it.
  const over = windows.sums.filter(({ end }) => passed >= end && !windows.open.some(({ start }) => start < end));
  for (const sum of over) {
    windows.sums.splice(windows.sums.indexOf(sum), 1);
    closed.push({ ...sum, blocks: [], examples: sum.examples ?? noExamples() });
    const larger = windows.sums.find(({ start, end }) => sum.start >= start && sum.start < end);
    if (larger) {
      merge(larger.total, sum.total);
      larger.late += sum.late;
    }
  }
  return closed;
}

/**
 * The windows of a stream that has fallen silent, as far as they are over by the clock on the wall (`now`, milliseconds since the
 * epoch) and hold enough frames: others go on growing, since a slow camera is not a silent one.
 */
export function closeSilent(windows: Windows, now: number): ClosedWindow[] {
  let until = 0;
  for (const window of windows.open) {
    if (framesIn(window) < leastFrames || now - latenessMs < window.end) break;
    until = window.end;
  }
  if (until === 0) return [];
  windows.watermark = Math.max(windows.watermark, until + latenessMs);
  return closeDue(windows);
}

/** By five minutes, together with what lies there. */
function grow({ open }: Windows, window: OpenWindow): void {
  window.end = startOf(window.end, windowMs) + windowMs;
  const next = open[1];
  if (!next || next.start >= window.end) return;
  open.splice(1, 1);
  window.end = Math.max(window.end, next.end);
  window.blocks.push(...next.blocks);
  mergeExamples(window.examples, next.examples);
}

function close(windows: Windows, { start, end, blocks, examples }: OpenWindow): ClosedWindow {
  const total = emptySketch();
  for (const block of blocks) merge(total, block);
  const late = windows.late;
  windows.late = 0;
  windows.closedUntil = end;
  for (const { span, ms } of sums) {
    if (!windows.sums.some((sum) => sum.span === span && start >= sum.start && start < sum.end)) {
      windows.sums.push({ span, start: startOf(start, ms), end: startOf(start, ms) + ms, total: emptySketch(), late: 0 });
    }
  }
  windows.sums.sort((a, b) => a.end - a.start - (b.end - b.start) || a.start - b.start);
  // Only into the hour: a day is made of its hours.
  const hour = windows.sums.find((sum) => start >= sum.start && start < sum.end)!;
  merge(hour.total, total);
  mergeExamples((hour.examples ??= noExamples()), examples);
  return { span: '5m', start, end, total, blocks, examples, late };
}
