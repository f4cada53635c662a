/** The values of the topics, as TypeScript sees them. Field for field the Avro schemas beside this file (a test compares). */

export interface FrameIn {
  image: Buffer;
  id: string | null;
  sequence: number | null;
  captured_at: number | null;
  models: string[] | null;
  deadline: number | null;
}

export interface ReplyTo {
  request_id: string;
  partition: number;
}

/** What every record says of the frame it comes from. */
export interface FrameIdentity {
  tenant: string;
  source: string;
  sequence: number | null;
  /** Milliseconds since the epoch, here and in the fields below. */
  captured_at: number;
  accepted_at: number;
  deadline: number | null;
  reply: ReplyTo | null;
}

export interface Frame extends FrameIdentity {
  id: string;
  content_type: string;
  size: number;
  image: Buffer | null;
  claim: string | null;
  models: string[];
}

/** The upright picture, and the rectangle (in its pixels) that the tensor shows, stretched to the tensor's size: a letterboxed one reaches beyond the picture. */
export interface Geometry {
  image_width: number;
  image_height: number;
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Quality {
  luma: number;
  contrast: number;
  sharpness: number;
  /** null in records of before these two were measured. */
  saturation: number | null;
  entropy: number | null;
}

/** One record of the log. */
export interface Place {
  topic: string;
  partition: number;
  offset: number;
}

/** The encoded picture of a frame: what it is, and where it lies. */
export interface Picture {
  content_type: string;
  /** Bytes. */
  size: number;
  /** Its name in the blob store, where it travels beside the log. */
  claim: string | null;
  /** The record that holds it, or its claim; null: none does. */
  place: Place | null;
}

export interface Tensor extends FrameIdentity {
  frame_id: string;
  model: string;
  height: number;
  width: number;
  /** uint8 RGB, height x width x 3; empty beside an answer. */
  pixels: Buffer;
  geometry: Geometry;
  quality: Quality;
  timings_ms: Record<string, number>;
  /** Digest of the picture and of what else tells one question from another, under which an answer may be cached; null: it may not. */
  content: string | null;
  /** The cached answer to an identical picture: nothing is left to infer. */
  answer: Answer | null;
  /** null in records of before this was told. */
  picture: Picture | null;
}

export interface Label {
  class_id: number;
  label: string;
  score: number;
}

/** Corners in pixels of the upright original. */
export interface Detection extends Label {
  x1: number;
  y1: number;
  x2: number;
  y2: number;
}

/** What a model says of a picture, whoever sent it. */
export interface Answer {
  version: string;
  task: string;
  labels: Label[];
  detections: Detection[];
  /** float32, little endian. */
  embedding: Buffer | null;
}

export type Status = 'ok' | 'dropped' | 'dead_lettered';

export interface Prediction {
  id: string;
  frame_id: string;
  tenant: string;
  source: string;
  sequence: number | null;
  captured_at: number;
  accepted_at: number;
  completed_at: number;
  status: Status;
  stage: string | null;
  reason: string | null;
  detail: string | null;
  model: string;
  version: string | null;
  /** The version that was to answer, where its fallback did. */
  fallback_for: string | null;
  task: string | null;
  image_width: number | null;
  image_height: number | null;
  labels: Label[];
  detections: Detection[];
  /** float32, little endian. */
  embedding: Buffer | null;
  quality: Quality | null;
  timings_ms: Record<string, number>;
  request_id: string | null;
  /** The answer is that to an identical picture, from the cache or from a run under way. */
  cached: boolean;
  /** null where the frame could not be read, and in records of before this was told. */
  picture: Picture | null;
}

export type DriftVerdict = 'stable' | 'drifted' | 'no_reference' | 'too_few' | 'sum';

/** One feature of a window beside its reference. */
export interface DriftFeature {
  name: string;
  group: string;
  statistic: string;
  value: number;
  /** How often chance alone makes it as large, alone and among all features; null where that is not known. */
  p: number | null;
  q: number | null;
  moved: boolean;
  mean: number | null;
  reference_mean: number | null;
  /** Of the bins, one more than bins; empty for classes and embeddings. */
  edges: number[];
  /** Of the bars, for classes. */
  labels: string[];
  /** Shares by bin or class. */
  now: number[];
  reference: number[];
}

/** How often the answers of a window are right, estimated without their labels; shares, 0..1. */
export interface Performance {
  accuracy: number;
  /** The true share lies between in 95 of 100 windows. */
  low: number;
  high: number;
  /** The same estimate for the reference. */
  normal: number;
  /** Answers with a label that it was calibrated by. */
  judged: number;
}

export interface DriftWindow {
  id: string;
  tenant: string;
  source: string;
  model: string;
  version: string | null;
  /** 5m, 1h or 24h; a window of 5m with few frames grows. */
  span: string;
  /** Event time, milliseconds since the epoch. */
  start: number;
  end: number;
  closed_at: number;
  frames: number;
  late: number;
  verdict: DriftVerdict;
  reference: string | null;
  sentence: string | null;
  features: DriftFeature[];
  /** Null until the reference is calibrated. */
  performance: Performance | null;
  examples: string[];
  /** Deflated; what a reference is built from. */
  blocks: Buffer | null;
}

/** A frame whose picture is kept to look at. */
export interface KeptFrame {
  frame_id: string;
  tenant: string;
  source: string;
  captured_at: number;
  /** sample, unsure or drift. */
  reason: string;
  kept_at: number;
  content_type: string;
  /** Bytes, as it is kept. */
  size: number;
  /** Faces have been looked for, and covered. */
  masked: boolean;
  /** Its name in the store of kept pictures. */
  blob: string;
}

export type AlertStatus = 'firing' | 'resolved';

export interface Alert {
  id: string;
  tenant: string;
  source: string;
  kind: string;
  status: AlertStatus;
  started_at: number;
  changed_at: number;
  resolved_at: number | null;
  models: string[];
  features: string[];
  sentence: string;
  windows: string[];
  examples: string[];
}
