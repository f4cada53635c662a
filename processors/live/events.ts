/** What the page is told. Times are milliseconds since the epoch unless named otherwise. */

export interface ShownLabel {
  readonly label: string;
  readonly score: number;
}

/** `box`: x1, y1, x2, y2 in pixels of the upright picture, which is `width` × `height`. */
export interface ShownDetection extends ShownLabel {
  readonly box: readonly [number, number, number, number];
}

export interface ModelAnswer {
  readonly version: string | null;
  readonly status: 'ok' | 'dropped' | 'dead_lettered';
  readonly reason: string | null;
  readonly labels: readonly ShownLabel[];
  readonly detections: readonly ShownDetection[];
  /** Captured to completed. */
  readonly latency_ms: number;
}

/** A frame and the answers to it so far; a later event of the same frame replaces it. */
export interface FrameEvent {
  readonly source: string;
  readonly frame_id: string;
  readonly captured_at: number;
  /** Whether GET /live/frames/:id has the picture. */
  readonly picture: boolean;
  /** Null when no model saw the picture. */
  readonly width: number | null;
  readonly height: number | null;
  readonly models: Readonly<Record<string, ModelAnswer>>;
}

export interface Percentiles {
  readonly count: number;
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
}

export interface StageState {
  readonly stage: string;
  readonly group: string;
  readonly topic: string;
  /** Records written and not committed; null while the log can't be asked. */
  readonly lag: number | null;
  /** Records committed a second; null until two looks at the log lie apart. */
  readonly rate: number | null;
}

export interface RecentPrediction {
  readonly id: string;
  readonly at: number;
  readonly source: string;
  readonly model: string;
  readonly status: ModelAnswer['status'];
  /** The best label and its score; how many more there are. */
  readonly what: string | null;
  readonly score: number | null;
  readonly more: number;
  readonly reason: string | null;
  readonly latency_ms: number;
}

export interface Ending {
  readonly status: 'dropped' | 'dead_lettered';
  readonly stage: string;
  readonly reason: string;
  readonly count: number;
}

export interface Stats {
  readonly at: number;
  /** Counts below begin here. */
  readonly since: number;
  readonly stages: readonly StageState[];
  /** Frames answered a second, over ten seconds; latency over a minute. */
  readonly sources: readonly { readonly source: string; readonly rate: number; readonly last_at: number }[];
  /** Answers a second and their latency; `total` is over all models. */
  readonly models: readonly ({ readonly model: string; readonly rate: number } & Percentiles)[];
  readonly total: { readonly frames_rate: number; readonly answers_rate: number } & Percentiles;
  /** By second, oldest first, 60 of them; null where nothing was answered. */
  readonly history: { readonly p50: readonly (number | null)[]; readonly p95: readonly (number | null)[] };
  readonly endings: readonly Ending[];
  readonly recent: readonly RecentPrediction[];
  /** Why the numbers may be stale, or null. */
  readonly trouble: string | null;
}

export interface Snapshot extends Stats {
  readonly frames: readonly FrameEvent[];
}

export type LiveEvent =
  | { readonly event: 'frame'; readonly data: FrameEvent }
  | { readonly event: 'stats'; readonly data: Stats };
