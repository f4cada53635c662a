/** Joins frames and the predictions about them by frame id, and decides when a frame is shown. */
import type { Frame, Prediction } from '../../schemas/records.ts';
import type { FrameEvent, ModelAnswer } from './events.ts';
import { recentlyUsed } from './recently-used.ts';

export interface JoinerOptions {
  readonly hasPicture: (frameId: string) => boolean;
  readonly show: (event: FrameEvent) => void;
}

export interface Joiner {
  frame(frame: Pick<Frame, 'id' | 'source' | 'models'>, now: number): void;
  prediction(prediction: Prediction, now: number): void;
  /** Call it every 100 ms or so: shows what has waited long enough for answers that did not come. */
  flush(now: number): void;
  /** Until then a frame without a picture is not shown: its picture may be about to come. */
  expectPictures(until: number): void;
  /** The frame each source shows at present. */
  shown(): FrameEvent[];
}

/** How long a frame waits for the answers still missing before it is shown with those it has. */
const GRACE_MS = 400;
/** Frames waiting at most; beyond it the oldest is given up. */
const WAITING = 1_000;
/** An eye sees no more, and each frame shown costs every viewer a transfer. */
const SHOW_EVERY_MS = 60;
/** So long after a picture of a source, its frames without one (not sampled) are not shown. */
const PICTURED_MS = 2_000;
const SOURCES = 64;

interface Waiting {
  readonly source: string;
  expected: readonly string[] | null;
  answers: Record<string, ModelAnswer>;
  firstAnswerAt: number | null;
  first: Prediction | null;
}

export function joiner({ hasPicture, show }: JoinerOptions): Joiner {
  const waiting = new Map<string, Waiting>();
  const sources = recentlyUsed(SOURCES, () => ({
    picturedAt: -Infinity,
    shownAt: -Infinity,
    shown: null as FrameEvent | null,
    sequence: null as number | null,
  }));
  let picturesBy = -Infinity;

  const entry = (id: string, source: string): Waiting => {
    let found = waiting.get(id);
    if (!found) {
      found = { source, expected: null, answers: {}, firstAnswerAt: null, first: null };
      waiting.set(id, found);
      if (waiting.size > WAITING) waiting.delete(waiting.keys().next().value!);
    }
    return found;
  };
  const complete = (of: Waiting): boolean => of.expected !== null && of.expected.every((model) => model in of.answers);

  function offer(id: string, of: Waiting, now: number): void {
    const { first } = of;
    if (!first) return;
    const source = sources.get(of.source);
    const last = source.shown;
    const again = last?.frame_id === id;
    const picture = hasPicture(id);
    if (!picture && (now < picturesBy || now - source.picturedAt < PICTURED_MS)) return;
    if (picture) source.picturedAt = now;
    if (!again && last) {
      // Answers may overtake each other; the picture never steps back.
      const older = first.captured_at < last.captured_at || (first.captured_at === last.captured_at && (first.sequence ?? 0) < (source.sequence ?? 0));
      if (older || now - source.shownAt < SHOW_EVERY_MS) return;
    }
    source.shownAt = now;
    source.sequence = first.sequence;
    source.shown = {
      source: of.source,
      frame_id: id,
      captured_at: first.captured_at,
      picture,
      width: first.image_width,
      height: first.image_height,
      models: { ...of.answers },
    };
    show(source.shown);
  }

  return {
    frame({ id, source, models }, now) {
      const of = entry(id, source);
      of.expected = models;
      if (complete(of)) {
        waiting.delete(id);
        offer(id, of, now);
      }
    },
    prediction(p, now) {
      const of = entry(p.frame_id, p.source);
      of.answers[p.model] = answer(p);
      of.firstAnswerAt ??= now;
      // One that ended without a look at the picture does not know its size.
      if (of.first === null || of.first.image_width === null) of.first = p;
      if (complete(of)) {
        waiting.delete(p.frame_id);
        offer(p.frame_id, of, now);
      }
    },
    flush(now) {
      for (const [id, of] of waiting) {
        if (of.firstAnswerAt === null || now - of.firstAnswerAt < GRACE_MS) continue;
        // Kept waiting, so that a late answer completes it; shown again only by then.
        if (sources.get(of.source).shown?.frame_id !== id) offer(id, of, now);
        if (now - of.firstAnswerAt > 20 * GRACE_MS) waiting.delete(id);
      }
    },
    expectPictures(until) {
      picturesBy = until;
    },
    shown: () => sources.entries().flatMap(([, { shown }]) => (shown ? [shown] : [])),
  };
}

const answer = (p: Prediction): ModelAnswer => ({
  version: p.version,
  status: p.status,
  reason: p.reason,
  labels: p.labels.map(({ label, score }) => ({ label, score })),
  detections: p.detections.map(({ label, score, x1, y1, x2, y2 }) => ({ label, score, box: [x1, y1, x2, y2] as const })),
  latency_ms: Math.max(0, p.completed_at - p.captured_at),
});
