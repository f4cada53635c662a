import type { Corners } from '../../schemas/corners.ts';

/** A box with a score and a class, corners in any one unit. */
export interface ScoredBox extends Corners {
  readonly score: number;
  readonly class_id: number;
}

/** Intersection over union, 0..1. Boxes without an area overlap nothing. */
export function iou(a: ScoredBox, b: ScoredBox): number {
  const width = Math.min(a.x2, b.x2) - Math.max(a.x1, b.x1);
  const height = Math.min(a.y2, b.y2) - Math.max(a.y1, b.y1);
  if (width <= 0 || height <= 0) return 0;
  const both = width * height;
  return both / ((a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - both);
}

/**
 * Greedy non-maximum suppression within each class: the best box stays, and those of its class that overlap it by more than
 * `threshold` go. Best first; boxes of equal score keep their order. At most `most`.
 */
export function suppress<T extends ScoredBox>(boxes: readonly T[], threshold: number, most: number): T[] {
  const kept: T[] = [];
  for (const box of boxes.toSorted((a, b) => b.score - a.score)) {
    if (kept.length >= most) break;
    if (kept.every((better) => better.class_id !== box.class_id || iou(better, box) <= threshold)) kept.push(box);
  }
  return kept;
}
