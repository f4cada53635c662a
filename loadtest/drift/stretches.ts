/** Which of the footage is whose: stretches of it are drawn as wholes, and those that are judged are never the reference's. */

/** Frames of a stretch. */
export const stretch = 25;
/** The halves of the footage take turns at being the reference. */
export const folds = [0, 1] as const;
export type Fold = (typeof folds)[number];
/** Stretches of each half that are put through the changes, at most, spread over all of it; more would take hours of inference. */
const shiftedStretches = 16;

/** Every other stretch: neighbours are seen in the same light and by the same crowd. */
export const isJudged = (stretchNumber: number, fold: Fold): boolean => stretchNumber % 2 === fold;

/** Numbers of the stretches that are put through the changes, of as many as there are. */
export function shiftedOf(stretches: number): number[] {
  const halves = Math.ceil(stretches / 2);
  const step = Math.max(1, Math.ceil(halves / shiftedStretches));
  return Array.from({ length: stretches }, (_, i) => i).filter((i) => Math.floor(i / 2) % step === 0);
}
