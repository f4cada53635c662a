/** A prediction as a row of predictions_raw (schemas/clickhouse), column for column with the table's types. */
import type { Column, Headers } from '../../connectors/ports.ts';
import type { Detection, Label, Prediction } from '../../schemas/records.ts';

export const table = 'predictions_raw';

export interface Row {
  readonly prediction: Prediction;
  readonly headers: Headers;
}

const time = "DateTime64(3, 'UTC')";
const word = 'LowCardinality(String)';
const wordOrNull = 'LowCardinality(Nullable(String))';

const of = (name: string, type: string, get: (prediction: Prediction) => unknown): Column<Row> => ({ name, type, of: ({ prediction }) => get(prediction) });
const field = (name: keyof Prediction & string, type: string): Column<Row> => of(name, type, (prediction) => prediction[name]);
const label = (name: keyof Label, type: string): Column<Row> => of(`labels.${name}`, `Array(${type})`, ({ labels }) => labels.map((each) => each[name]));
const detection = (name: keyof Detection, type: string): Column<Row> =>
  of(`detections.${name}`, `Array(${type})`, ({ detections }) => detections.map((each) => each[name]));

export const columns: readonly Column<Row>[] = [
  field('id', 'UUID'),
  field('frame_id', 'UUID'),
  field('tenant', word),
  field('source', word),
  field('sequence', 'Nullable(Int64)'),
  field('captured_at', time),
  field('accepted_at', time),
  field('completed_at', time),
  field('status', "Enum8('dropped' = 1, 'dead_lettered' = 2, 'ok' = 3)"),
  field('stage', wordOrNull),
  field('reason', wordOrNull),
  field('detail', 'Nullable(String)'),
  field('model', word),
  field('version', wordOrNull),
  field('fallback_for', wordOrNull),
  field('task', wordOrNull),
  field('image_width', 'Nullable(UInt32)'),
  field('image_height', 'Nullable(UInt32)'),
  label('class_id', 'Int32'),
  label('label', word),
  label('score', 'Float32'),
  detection('class_id', 'Int32'),
  detection('label', word),
  detection('score', 'Float32'),
  detection('x1', 'Float32'),
  detection('y1', 'Float32'),
  detection('x2', 'Float32'),
  detection('y2', 'Float32'),
  of('embedding', 'Array(Float32)', ({ embedding }) => embedding ?? []),
  of('luma', 'Nullable(Float64)', ({ quality }) => quality && quality.luma),
  of('contrast', 'Nullable(Float64)', ({ quality }) => quality && quality.contrast),
  of('sharpness', 'Nullable(Float64)', ({ quality }) => quality && quality.sharpness),
  of('saturation', 'Nullable(Float32)', ({ quality }) => quality && quality.saturation),
  of('entropy', 'Nullable(Float32)', ({ quality }) => quality && quality.entropy),
  of('content_type', word, ({ picture }) => picture?.content_type ?? ''),
  of('size', 'UInt32', ({ picture }) => picture?.size ?? 0),
  of('claim', 'String', ({ picture }) => picture?.claim ?? ''),
  of('log_topic', word, ({ picture }) => picture?.place?.topic ?? ''),
  of('log_partition', 'Int32', ({ picture }) => picture?.place?.partition ?? 0),
  of('log_offset', 'Int64', ({ picture }) => picture?.place?.offset ?? 0),
  field('timings_ms', 'Map(LowCardinality(String), Float64)'),
  field('request_id', 'Nullable(String)'),
  field('cached', 'Bool'),
  { name: 'trace_id', type: 'Nullable(String)', of: ({ headers }) => traceId(headers.traceparent) },
];

/** The 32 hex digits of a W3C traceparent, or null. */
const traceId = (traceparent: string | undefined): string | null =>
  /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/.exec(traceparent ?? '')?.[1] ?? null;
