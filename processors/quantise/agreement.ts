/** How far two versions of a model give the same answers. */
import type { Corners } from '../../schemas/corners.ts';

/** One picture's answer: labels best first, or boxes; either list is empty for a model of the other kind. */
export interface Answer {
  readonly labels: readonly { readonly class_id: number; readonly score: number }[];
  readonly boxes: readonly Box[];
}

interface Box extends Corners {
  readonly class_id: number;
  readonly score: number;
}

export interface Agreement {
  /** 0..1: share of pictures with the same first label, or F1 of the boxes (same class, IoU of at least 0.5) over all pictures. */
  readonly share: number;
  /** What the share is of: pictures, or boxes of either. */
  readonly of: number;
  /** Mean absolute difference of the scores where the answers agree. */
  readonly scoreDifference: number;
}

/** `overlap`: intersection over union of two boxes, 0..1. Two versions that both find nothing anywhere agree, over nothing. */
export function agreementOf(wanted: readonly Answer[], found: readonly Answer[], overlap: (a: Box, b: Box) => number): Agreement {
  let agreeing = 0;
  let of = 0;
  let difference = 0;
  let pairs = 0;
  wanted.forEach((answer, at) => {
    const other = found[at]!;
    const matched = answer.labels.length + other.labels.length > 0 ? firstLabels(answer, other) : matchedBoxes(answer.boxes, other.boxes, overlap);
    // F1 = 2 matched / (boxes of one + boxes of the other); for labels each picture counts once on either side.
    agreeing += 2 * matched.length;
    of += answer.labels.length + other.labels.length > 0 ? 2 : answer.boxes.length + other.boxes.length;
    for (const [a, b] of matched) difference += Math.abs(a.score - b.score);
    pairs += matched.length;
  });
  return { share: of === 0 ? 1 : agreeing / of, of, scoreDifference: pairs === 0 ? 0 : difference / pairs };
}

type Pair = readonly [{ readonly score: number }, { readonly score: number }];

function firstLabels(a: Answer, b: Answer): Pair[] {
  const [first] = a.labels;
  const [other] = b.labels;
  return first && other && first.class_id === other.class_id ? [[first, other]] : [];
}

/** Greedy, best score first; each box is matched once. */
function matchedBoxes(boxes: readonly Box[], others: readonly Box[], overlap: (a: Box, b: Box) => number): Pair[] {
  const free = new Set(others);
  return boxes.toSorted((a, b) => b.score - a.score).flatMap((box): Pair[] => {
    const rivals = [...free].filter((other) => other.class_id === box.class_id && overlap(box, other) >= 0.5);
    const best = rivals.sort((a, b) => overlap(box, b) - overlap(box, a))[0];
    if (!best) return [];
    free.delete(best);
    return [[box, best]];
  });
}
