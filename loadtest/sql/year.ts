/** A year of predictions, made inside ClickHouse: cameras of two tenants, a classifier and a detector, days with a rhythm, and what goes wrong. */
import type { Store } from '../../connectors/ports.ts';

export interface Year {
  readonly rows: number;
  /** How many of them, from the first on, are there already. */
  readonly from?: number;
  readonly cameras: number;
  /** Milliseconds since the epoch: the last row's. */
  readonly until: number;
  /** Milliseconds from one row to the next. */
  readonly step: number;
}

const rowsAtOnce = 400_000;

/** In the order of time, as a sink would have stored them; each insert is a part, and the engine merges meanwhile. */
export async function storeYear(store: Pick<Store, 'command'>, { rows, from: first = 0, cameras, until, step }: Year, told: (done: number) => void): Promise<void> {
  for (let from = first; from < rows; from += rowsAtOnce) {
    await store.command(
      `INSERT INTO predictions_raw (id, frame_id, tenant, source, sequence, captured_at, accepted_at, completed_at, status, stage, reason, model, version, task, image_width, image_height,
         labels.class_id, labels.label, labels.score, detections.class_id, detections.label, detections.score, detections.x1, detections.y1, detections.x2, detections.y2,
         luma, contrast, sharpness, timings_ms, request_id, trace_id, cached, inserted_at)
       WITH
         number AS n, sipHash64(n) AS h, sipHash64(n, 1) AS g, intDiv(n, 2) AS frame,
         -- Both models are asked of each frame.
         n % 2 = 0 AS detects,
         toUInt32(sipHash64(frame, 2) % {cameras:UInt32}) AS camera,
         fromUnixTimestamp64Milli(toInt64({until:Int64} - ({rows:UInt64} - n) * {step:Float64})) AS at,
         toHour(at) AS hour,
         h % 1000 AS chance,
         multiIf(chance < 5, 'dead_lettered', chance < 20, 'dropped', 'ok') AS state,
         state = 'ok' AS ok,
         if(detects AND ok, toUInt8((g % 100 < 35) ? 0 : g % 6 + (hour BETWEEN 7 AND 19 ? 1 : 0)), 0) AS boxes,
         -- Few classes are frequent, many are rare; each day brings one that was never seen before.
         arrayMap(i -> toInt32(floor(79 * pow(sipHash64(n, i) % 10000 / 10000., 3))), range(boxes)) AS classes,
         if(NOT detects AND ok, arrayMap(i -> toInt32(floor(999 * pow(sipHash64(n, i) % 10000 / 10000., 2))), range(5)), []) AS tops
       SELECT
         reinterpretAsUUID(sipHash128(n)), reinterpretAsUUID(sipHash128(frame)), if(camera % 10 = 9, 'other', 'default'), concat('camera-', toString(camera)), frame, at,
         at + toIntervalMillisecond(5 + g % 20), at + toIntervalMillisecond(30 + g % 90 + if(chance > 990, 2000, 0)), state,
         if(ok, NULL, if(state = 'dropped', 'preprocess', 'infer')), if(ok, NULL, if(state = 'dropped', 'deadline', 'undecodable_image')),
         if(detects, 'nanodet', 'efficientnet-lite0'), if(ok, if(at > fromUnixTimestamp64Milli({until:Int64}) - toIntervalDay(60), '2', '1'), NULL), if(ok, if(detects, 'detection', 'classification'), NULL), 640, 480,
         tops, arrayMap(c -> concat('class-', toString(c)), tops), arrayMap(i -> toFloat32(pow(0.5, i) * (0.2 + g % 800 / 1000)), range(length(tops))),
         classes, arrayMap(c -> multiIf(c = 0, 'person', c = 78, concat('new-on-', toString(toDate(at))), concat('object-', toString(c))), classes), arrayMap(i -> toFloat32(0.3 + sipHash64(n, i, 3) % 700 / 1000), range(boxes)),
         arrayMap(i -> toFloat32(sipHash64(n, i, 4) % 5000 / 10), range(boxes)), arrayMap(i -> toFloat32(sipHash64(n, i, 5) % 4000 / 10), range(boxes)),
         arrayMap(i -> toFloat32(500 + sipHash64(n, i, 6) % 1400 / 10), range(boxes)), arrayMap(i -> toFloat32(400 + sipHash64(n, i, 7) % 800 / 10), range(boxes)),
         if(ok, 90 + 40 * sin(hour / 24. * 6.28) + g % 1000 / 100, NULL), if(ok, 40 + g % 700 / 100, NULL), if(ok, 200 + h % 9000 / 10, NULL),
         if(ok, map('queue', g % 300 / 100., 'decode', 2 + h % 400 / 100., 'infer', 8 + g % 1500 / 100.), map()), NULL, lower(hex(sipHash128(n, 8))), chance > 980, at + toIntervalMillisecond(200)
       FROM numbers({from:UInt64}, {count:UInt64})`,
      { from, count: Math.min(rowsAtOnce, rows - from), rows, cameras, until, step },
    );
    told(Math.min(from + rowsAtOnce, rows));
  }
}
