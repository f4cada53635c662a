/** A tenant with something in every table, its own name for it in every field that could show: whose a row is can be told from any answer. */
import type { Store } from '../../connectors/ports.ts';
import { sinkConfig } from '../../processors/sink/config.ts';
import { alertColumns, alertsTable, windowColumns, windowsTable } from '../../processors/sink/drift-rows.ts';
import { keptColumns, keptTable } from '../../processors/sink/kept-rows.ts';
import { buildRollups } from '../../processors/sink/rollups/build.ts';
import { tableSink } from '../../processors/sink/table-sink.ts';
import type { Input } from '../../processors/stage.ts';
import { exampleRecord } from '../../schemas/examples.ts';
import { predictionId } from '../../schemas/ids.ts';
import type { Alert, DriftFeature, DriftWindow, KeptFrame, Prediction } from '../../schemas/records.ts';
import { prediction } from '../contracts/store.ts';
import { storePredictions } from './rows.ts';

export interface Tenant {
  readonly name: string;
  /** In all that is its own. */
  readonly mark: string;
  /** Of a frame in the store. */
  readonly frame: string;
}

const batch = sinkConfig.parse({});
const inputsOf = <T>(values: readonly T[]): Input<T>[] =>
  values.map((value, offset) => ({ value, key: null, headers: {}, origin: { cluster: 'c', topic: 't', partition: 0, offset, timestamp: 0 }, bytes: 1, receivedAt: 0, attempt: 1 }));

/** The whole store but for what the audit trail and the keys are in. */
export async function fillStore(store: Store, tenants: readonly Tenant[]): Promise<void> {
  const now = Date.now();
  const rows = tenants.flatMap(({ name: tenant, mark, frame }): Prediction[] => {
    const own = { tenant, source: mark, model: mark, request_id: mark, captured_at: now - 120_000, accepted_at: now - 120_000, completed_at: now - 119_000 };
    const detections = [{ class_id: 0, label: mark, score: 0.75, x1: 1, y1: 2, x2: 3, y2: 4 }];
    const lost = { ...own, stage: mark, reason: mark, detail: mark, detections: [], version: null, task: null };
    return [
      prediction({ ...own, detections, id: predictionId(frame, mark), frame_id: frame }),
      prediction({ ...lost, status: 'dead_lettered' }),
      prediction({ ...lost, status: 'dropped' }),
    ];
  });
  await storePredictions(store, rows);
  await buildRollups(store, { until: now + 3_600_000, clock: { now: Date.now }, builder: 'test' });
  const windows = tenants.map(({ name: tenant, mark }): DriftWindow => {
    const example = exampleRecord('drift-window') as unknown as DriftWindow;
    const features = example.features.map((feature): DriftFeature => ({ ...feature, name: mark, labels: [mark] }));
    return { ...example, id: predictionId(tenant, 'window'), tenant, source: mark, model: mark, version: '1', span: '5m', start: now - 400_000, end: now - 100_000, closed_at: now, sentence: mark, reference: mark, features };
  });
  const alerts = tenants.map(({ name: tenant, mark }): Alert => {
    const example = exampleRecord('alert') as unknown as Alert;
    return { ...example, id: predictionId(tenant, 'alert'), tenant, source: mark, status: 'firing', resolved_at: null, changed_at: now, models: [`${mark}@1`], features: [mark], sentence: mark };
  });
  const kept = tenants.map(({ name: tenant, mark, frame }): KeptFrame => ({ ...(exampleRecord('kept-frame') as unknown as KeptFrame), tenant, source: mark, frame_id: frame }));
  await store.inserter<KeptFrame>(keptTable, keptColumns)(kept);
  const none = new AbortController().signal;
  await tableSink<DriftWindow>({ name: 'sink.drift', store, batch, table: windowsTable, columns: windowColumns }).process(inputsOf(windows), none);
  await tableSink<Alert>({ name: 'sink.alerts', store, batch, table: alertsTable, columns: alertColumns }).process(inputsOf(alerts), none);
}
