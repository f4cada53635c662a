/** What passes between the parts of a camera. */

/** An encoded picture with the instant it was taken (milliseconds since the epoch). */
export interface Shot {
  readonly image: Buffer;
  readonly capturedAt: number;
}

/** A shot with its place in the source. The id is fixed here, once, so that a repeated send is recognised as the same frame. */
export interface CameraFrame extends Shot {
  readonly id: string;
  readonly sequence: number;
  /** Milliseconds since the epoch after which nobody wants the answer, or null. */
  readonly deadline: number | null;
}

/** `captured` = `acknowledged` + `dropped` + `refused` once the camera has ended. */
export interface CameraCounts {
  /** Pictures the source gave. */
  captured: number;
  /** Accepted by the log. */
  acknowledged: number;
  /** Discarded before the ack, because the log was slower than the source or away. */
  dropped: number;
  /** The log refused the record itself. */
  refused: number;
}

/** The part of a pino logger that a camera uses. */
export interface CameraLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}
