import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Store } from '../../connectors/ports.ts';
import { sinkConfig } from '../../processors/sink/config.ts';
import { alertColumns, alertsTable, windowColumns, windowsTable } from '../../processors/sink/drift-rows.ts';
import { tableSink } from '../../processors/sink/table-sink.ts';
import type { Input } from '../../processors/stage.ts';
import { exampleRecord } from '../../schemas/examples.ts';
import type { Alert, DriftWindow } from '../../schemas/records.ts';
import { embeddedStore } from '../support/embedded-store.ts';

const batch = sinkConfig.parse({});
const signal = new AbortController().signal;
const inputsOf = <T>(values: readonly T[]): Input<T>[] =>
  values.map((value, offset) => ({ value, key: null, headers: {}, origin: { cluster: 'c', topic: 't', partition: 0, offset, timestamp: 0 }, bytes: 1, receivedAt: 0, attempt: 1 }));
const window = (more: Partial<DriftWindow> = {}): DriftWindow => ({ ...(exampleRecord('drift-window') as unknown as DriftWindow), ...more });
const alert = (more: Partial<Alert> = {}): Alert => ({ ...(exampleRecord('alert') as unknown as Alert), ...more });

describe('the tables of drift', { timeout: 120_000 }, () => {
  let store: Store;
  embeddedStore('drift', (opened) => (store = opened));
  const store1 = <T>(table: string, columns: Parameters<typeof tableSink<T>>[0]['columns'], ...values: T[]) =>
    tableSink({ name: 'sink.x', store, batch, table, columns }).process(inputsOf(values), signal);

  test('hold a window with its features; computed again it is one row, and the later wins', async () => {
    const first = window();
    await store1(windowsTable, windowColumns, first, { ...first, closed_at: first.closed_at + 10, verdict: 'stable' as const });
    const rows = await store.query('SELECT id, source, version, verdict, frames, moved, examples FROM drift_windows');
    assert.deepEqual(rows, [{ id: first.id, source: 'dock-3', version: '1', verdict: 'stable', frames: 1500, moved: ['luma'], examples: first.examples }]);
    assert.deepEqual(await store.query('SELECT accuracy, accuracy_low, accuracy_high, accuracy_normal FROM drift_windows'), [{ accuracy: 0.625, accuracy_low: 0.5625, accuracy_high: 0.6875, accuracy_normal: 0.8125 }]);
    const features = await store.query('SELECT feature, group, statistic, value, p, moved, mean FROM drift_features ORDER BY feature');
    assert.deepEqual(features, [
      { feature: 'class_mix', group: 'prediction', statistic: 'js', value: 0.125, p: 0.5, moved: false, mean: null },
      { feature: 'luma', group: 'input', statistic: 'psi', value: 2.5, p: 0.00001, moved: true, mean: 58.25 },
    ]);
    const [raw] = await store.query<{ charts: string; blocks: string }>('SELECT charts, blocks FROM drift_windows_raw FINAL');
    assert.deepEqual(JSON.parse(raw!.charts).luma, { edges: [0, 128, 256], labels: [], now: [1, 0], reference: [0.75, 0.25] });
    assert.deepEqual(Buffer.from(raw!.blocks, 'base64'), first.blocks);
  });

  test('hold the last state of an alert, in whatever order it came', async () => {
    const resolved = alert();
    const firing = alert({ status: 'firing', resolved_at: null, changed_at: resolved.changed_at - 1 });
    await store1(alertsTable, alertColumns, resolved, firing);
    assert.deepEqual(await store.query('SELECT status, features, sentence FROM alerts'), [{ status: 'resolved', features: resolved.features, sentence: resolved.sentence }]);
    await store1(alertsTable, alertColumns, alert({ id: '00000000-0000-8000-8000-000000000001', status: 'firing', resolved_at: null }));
    assert.deepEqual(await store.query("SELECT status FROM alerts ORDER BY id LIMIT 1"), [{ status: 'firing' }]);
  });

  test('refuse a row that does not fit, and keep its neighbours', async () => {
    const outcomes = await store1(windowsTable, windowColumns, window({ source: 'a' }), window({ source: 'b', examples: ['no id'] }), window({ source: 'c' }));
    assert.deepEqual(outcomes.map((outcome) => ('error' in outcome ? outcome.error.code : outcome.kind)), ['emit', 'rejected_by_store', 'emit']);
    assert.deepEqual(await store.query("SELECT source FROM drift_windows WHERE source IN ('a', 'b', 'c') ORDER BY source"), [{ source: 'a' }, { source: 'c' }]);
  });
});
