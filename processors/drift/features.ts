/** What is watched of a stream of predictions: each feature, its fixed bins, and how its change is told. */
import type { Detection, Prediction } from '../../schemas/records.ts';
import { bins, type Bins } from './bins.ts';

export type FeatureGroup = 'input' | 'prediction' | 'embedding';

/** A feature of which each frame gives some numbers, counted in bins that never change: only so can windows be added up and compared. */
export interface NumericFeature {
  readonly name: string;
  readonly group: FeatureGroup;
  readonly bins: Bins;
  readonly statistic: 'psi' | 'ks';
  /** Below this the difference is of no use to anybody, however sure it is. */
  readonly least: number;
  /** How a person says that it has risen and that it has fallen. */
  readonly rose: string;
  readonly fell: string;
  /** None where the frame says nothing of it. */
  of(prediction: Prediction): readonly number[];
}

const answered = ({ status }: Prediction): boolean => status === 'ok';
const one = (value: number | null | undefined): readonly number[] => (value === null || value === undefined ? [] : [value]);
const yes = (is: boolean): readonly number[] => [is ? 1 : 0];
const boxes = (p: Prediction, of: (box: Detection, width: number, height: number) => number): number[] =>
  answered(p) && p.image_width && p.image_height ? p.detections.map((box) => of(box, p.image_width!, p.image_height!)) : [];

/** Reasons for which a picture, and not the set-up, was refused. */
const badPicture = new Set(['undecodable_image', 'unsupported_media_type', 'payload_empty', 'too_many_pixels']);

/** How sure of an answer: what a model's calibration goes by, too. */
export const confidenceBins = bins.linear(0, 1, 50);

const detects = ({ task }: Prediction): boolean => task === 'detection' || task === 'faces';

export const numericFeatures: readonly NumericFeature[] = [
  { name: 'luma', group: 'input', bins: bins.linear(0, 256, 64), statistic: 'psi', least: 0.1, rose: 'pictures are brighter', fell: 'pictures are darker', of: (p) => one(p.quality?.luma) },
  { name: 'contrast', group: 'input', bins: bins.linear(0, 128, 64), statistic: 'psi', least: 0.1, rose: 'contrast has risen', fell: 'contrast has fallen', of: (p) => one(p.quality?.contrast) },
  { name: 'saturation', group: 'input', bins: bins.linear(0, 1, 50), statistic: 'psi', least: 0.1, rose: 'colours are stronger', fell: 'colours are paler', of: (p) => one(p.quality?.saturation) },
  { name: 'entropy', group: 'input', bins: bins.linear(0, 8, 64), statistic: 'psi', least: 0.1, rose: 'pictures have more shades', fell: 'pictures have fewer shades', of: (p) => one(p.quality?.entropy) },
  { name: 'sharpness', group: 'input', bins: bins.logarithmic(1, 100_000, 60), statistic: 'psi', least: 0.1, rose: 'pictures are sharper or noisier', fell: 'pictures are blurred', of: (p) => one(p.quality?.sharpness) },
  { name: 'size', group: 'input', bins: bins.logarithmic(1_000, 100_000_000, 50), statistic: 'psi', least: 0.1, rose: 'pictures have more pixels', fell: 'pictures have fewer pixels', of: (p) => (p.image_width && p.image_height ? [p.image_width * p.image_height] : []) },
  { name: 'unreadable', group: 'input', bins: bins.flag, statistic: 'psi', least: 0.05, rose: 'more pictures cannot be read', fell: 'fewer pictures cannot be read', of: (p) => (p.status === 'dropped' ? [] : yes(p.status === 'dead_lettered' && badPicture.has(p.reason ?? ''))) },
  { name: 'confidence', group: 'prediction', bins: confidenceBins, statistic: 'ks', least: 0.1, rose: 'the model is surer', fell: 'the model is less sure', of: (p) => (!answered(p) ? [] : detects(p) ? p.detections.map(({ score }) => score) : one(p.labels[0]?.score)) },
  { name: 'detections', group: 'prediction', bins: bins.linear(-0.5, 63.5, 64), statistic: 'ks', least: 0.1, rose: 'more is found in a frame', fell: 'less is found in a frame', of: (p) => (answered(p) && detects(p) ? [p.detections.length] : []) },
  { name: 'empty', group: 'prediction', bins: bins.flag, statistic: 'psi', least: 0.1, rose: 'more frames have nothing in them', fell: 'fewer frames have nothing in them', of: (p) => (answered(p) ? yes(p.labels.length + p.detections.length === 0) : []) },
  { name: 'box_area', group: 'prediction', bins: bins.logarithmic(0.000_01, 1, 50), statistic: 'ks', least: 0.1, rose: 'what is found is larger', fell: 'what is found is smaller', of: (p) => boxes(p, ({ x1, y1, x2, y2 }, width, height) => ((x2 - x1) * (y2 - y1)) / (width * height)) },
  { name: 'box_x', group: 'prediction', bins: bins.linear(0, 1, 40), statistic: 'ks', least: 0.1, rose: 'what is found lies further right', fell: 'what is found lies further left', of: (p) => boxes(p, ({ x1, x2 }, width) => (x1 + x2) / 2 / width) },
  { name: 'box_y', group: 'prediction', bins: bins.linear(0, 1, 40), statistic: 'ks', least: 0.1, rose: 'what is found lies lower', fell: 'what is found lies higher', of: (p) => boxes(p, ({ y1, y2 }, _width, height) => (y1 + y2) / 2 / height) },
];

/** The classes of a frame: the best label, or each box's. */
export function classesOf(prediction: Prediction): readonly string[] {
  if (!answered(prediction)) return [];
  if (detects(prediction)) return prediction.detections.map(({ label }) => label);
  return prediction.labels.slice(0, 1).map(({ label }) => label);
}

/** Those that are not counted in bins of numbers. */
export const classMix = { name: 'class_mix', group: 'prediction', statistic: 'js', least: 0.1 } as const;
/** The class that is most often seen of those that the reference has all but never: among all the others its share would be lost. */
export const newClass = { name: 'new_class', group: 'prediction', statistic: 'rate', least: 0.08 } as const;
export const embeddingMean = { name: 'embedding_mean', group: 'embedding', statistic: 'mean_shift', least: 0 } as const;
export const embeddingShape = { name: 'embedding_mmd', group: 'embedding', statistic: 'mmd', least: 0 } as const;

/** The area under the ROC curve of a classifier that tells now from the reference: it confirms the two before it, and says nothing alone. */
export const domainFeature = { name: 'domain', group: 'embedding', statistic: 'auc' } as const;

/** Whether the feature is of the pictures alone, whatever model looks at them. */
export const groupOf = (feature: string): FeatureGroup =>
  [...numericFeatures, classMix, newClass, embeddingMean, embeddingShape, domainFeature].find(({ name }) => name === feature)?.group ?? 'prediction';
