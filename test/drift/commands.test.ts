import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SaccadeError } from '../../connectors/errors.ts';
import type { Store } from '../../connectors/ports.ts';
import { readArguments } from '../../processors/drift/arguments.ts';
import { type DriftCommandWorld, runDriftCommand } from '../../processors/drift/commands.ts';
import { driftConfig } from '../../processors/drift/config.ts';
import { driftStage } from '../../processors/drift/drift.ts';
import { openReferences } from '../../processors/drift/references.ts';
import { unpackReference } from '../../processors/drift/reference.ts';
import { driftOf } from '../../processors/edge/drift/drift-of.ts';
import { driftSchema } from '../../schemas/api/drift.ts';
import { sinkConfig } from '../../processors/sink/config.ts';
import { alertColumns, alertsTable, windowColumns, windowsTable } from '../../processors/sink/drift-rows.ts';
import { sinkStage } from '../../processors/sink/sink.ts';
import { tableSink } from '../../processors/sink/table-sink.ts';
import type { Input } from '../../processors/stage.ts';
import type { Alert, DriftWindow, Prediction } from '../../schemas/records.ts';
import { embeddedStore } from '../support/embedded-store.ts';
import { quiet } from '../support/pipeline.ts';
import { noon, stream, usual } from '../support/drift.ts';

const refused = (argv: string[], detail: RegExp): void =>
  assert.throws(() => readArguments(argv, noon), (error: SaccadeError) => error.code === 'bad_request' && detail.test(error.detail));

describe('what drift … is asked', () => {
  test('times are ISO 8601 or ago; a day is from and to', () => {
    assert.deepEqual(readArguments(['reference', 'gate', '--from', '2h', '--to', '2026-01-05T11:30Z', '--day', '07:00-19:30'], noon), {
      name: 'reference', source: 'gate', of: 'gate', model: null, tenant: null, from: noon - 7_200_000, to: noon - 1_800_000, day: { from: 420, to: 1170 },
    });
  });

  test('what is wrong names itself', () => {
    refused(['reference'], /needs a source/);
    refused(['reference', 'gate'], /--from/);
    refused(['reference', 'gate', '--from', 'yesterday', '--to', '0m'], /'yesterday'/);
    refused(['reference', 'gate', '--from', '1h', '--to', '2h'], /not before/);
    refused(['reference', 'gate', '--from', '2h', '--to', '1h', '--day', '7-19'], /--day is '7-19'/);
    refused(['reference', 'gate', 'yard'], /yard/);
    refused(['reverence'], /reverence/);
    refused(['calibrate', 'gate', '--labels', 'x.csv'], /--model/);
    refused(['calibrate', 'gate', '--model', 'nanodet'], /--labels/);
    refused(['list', '--weekly'], /weekly/);
  });
});

describe('from windows to a reference, an alert and /v1/drift', { timeout: 240_000 }, () => {
  let store: Store;
  embeddedStore('drift-commands', (opened) => (store = opened));
  const written = new Map<string, Buffer>();
  const references = openReferences(quiet);
  const world = (): DriftCommandWorld => ({
    tenant: 'default',
    now: noon,
    references: () => written,
    write: async (key, value) => {
      if (value) written.set(key, value);
      else written.delete(key);
      references.changed(key, value);
    },
    store: async () => store,
    readFile: () => labels,
  });
  let labels = '';
  const run = async (...argv: string[]): Promise<string[]> => {
    const lines: string[] = [];
    await runDriftCommand(world(), readArguments(argv, noon), (line) => lines.push(line));
    return lines;
  };
  const signal = new AbortController().signal;
  const inputsOf = <T>(values: readonly T[], timestamp: (value: T) => number = () => 0): Input<T>[] =>
    values.map((value, offset) => ({ value, key: 'gate', headers: {}, origin: { cluster: 'c', topic: 't', partition: 0, offset, timestamp: timestamp(value) }, bytes: 1, receivedAt: 0, attempt: 1 }));
  let offset = 0;

  const stage = driftStage({ config: driftConfig.parse({}), clock: { now: () => noon }, references, states: async () => new Map(), log: quiet });
  async function see(predictions: readonly Prediction[]): Promise<void> {
    const inputs = inputsOf(predictions, (p) => p.completed_at).map((input) => ({ ...input, origin: { ...input.origin, offset: offset++ } }));
    const emitted = (await stage.process(inputs, signal)).flatMap((outcome) => (outcome.kind === 'emit' ? outcome.records : []));
    const batch = sinkConfig.parse({});
    const of = (output: string): unknown[] => emitted.filter((each) => each.output === output).map(({ value }) => value);
    await tableSink<DriftWindow>({ name: 'sink.drift', store, batch, table: windowsTable, columns: windowColumns }).process(inputsOf(of('windows') as DriftWindow[]), signal);
    await tableSink<Alert>({ name: 'sink.alerts', store, batch, table: alertsTable, columns: alertColumns }).process(inputsOf(of('alerts') as Alert[]), signal);
  }
  const told = (more = {}) => driftOf('default', { hours: 24, ...more }, { ask: (sql, params) => store.query(sql, params), now: noon + 3 * 3_600_000 });

  test('nothing is normal before anybody says so', async () => {
    await see(stream({ seed: 70, frames: 4 * 60 * 51 }));
    const drift = await told();
    assert.deepEqual(drift.streams.map(({ source, model, latest, history }) => [source, model, latest.verdict, history.length]), [['gate', 'nanodet', 'no_reference', 10]]);
    await assert.rejects(run('forget', 'gate'), (error: SaccadeError) => error.code === 'bad_request');
    assert.deepEqual(await run('list'), ['There are no references. See npm run saccade -- drift --help.']);
  });

  test('what was seen becomes normal, in versions; too little of it is refused', async () => {
    const time = ['--from', '2026-01-05T12:00Z', '--to', '2026-01-05T12:50Z'];
    await assert.rejects(run('reference', 'gate', '--from', '2026-01-05T12:00Z', '--to', '2026-01-05T12:12Z'), (error: SaccadeError) => error.code === 'bad_request' && /20 blocks/.test(error.detail));
    await assert.rejects(run('reference', 'nobody', ...time), (error: SaccadeError) => /No window of nobody/.test(error.detail));
    assert.equal(written.size, 0);
    const [line] = await run('reference', 'gate', ...time);
    assert.match(line!, /^default\/nanodet@1\/gate: version 1, of gate from 2026-01-05T12:00 to 2026-01-05T12:50: all day 12000 frames in 100 blocks$/);
    assert.match((await run('reference', 'gate', ...time))[0]!, /version 2/);
    assert.equal(unpackReference([...written.values()][0]!).version, '2');
    assert.match((await run('list'))[0]!, /version 2/);
    assert.match((await run('reference', 'yard/<b>', '--of', 'gate', ...time))[0]!, /^default\/nanodet@1\/yard\/<b>: version 1, of gate/);
  });

  test('and from then on a change is an alert, with a chart of it', async () => {
    const at = (minutes: number): number => noon + minutes * 60_000;
    await see([...stream({ seed: 71, from: at(55), frames: 4 * 60 * 10 }), ...stream({ seed: 72, from: at(65), frames: 4 * 60 * 21, world: { ...usual, luma: 60 } })]);
    const drift = driftSchema.parse(await told());
    const [alert] = drift.alerts;
    assert.deepEqual([alert!.status, alert!.source, alert!.resolved_at, alert!.features.includes('luma')], ['firing', 'gate', null, true]);
    const [{ latest, hour, history }] = drift.streams as [(typeof drift.streams)[number]];
    assert.equal(latest.verdict, 'drifted');
    assert.deepEqual([hour!.start, hour!.end], [new Date(noon).toISOString(), new Date(at(60)).toISOString()]);
    assert.equal(drift.streams.length, 1, 'an hour is no stream');
    const luma = latest.features.find(({ name }) => name === 'luma')!;
    assert.ok(luma.moved && luma.mean! < 70 && luma.reference_mean! > 110 && luma.now.length === luma.edges.length - 1);
    assert.ok(latest.examples.length > 0);
    assert.deepEqual(history.slice(-3).map(({ verdict }) => verdict), ['drifted', 'drifted', 'drifted']);
    assert.deepEqual((await told({ source: 'other' })).streams, []);
    assert.deepEqual((await told({ model: 'other' })).alerts, []);
    assert.deepEqual((await driftOf('another', { hours: 24 }, { ask: (sql, params) => store.query(sql, params), now: noon })).streams, []);
  });

  test('who asks for one model hears of an alert that names others what that one shows, and no more', async () => {
    const [alert] = (await told()).alerts;
    const both = { ...alert!, id: '00000000-0000-8000-8000-00000000000b', tenant: 'default', kind: 'drift', models: ['nanodet@1', 'secret@2'], features: ['luma', 'class secret'], sentence: 'secret sees more of the class secret.', windows: [], started_at: noon, changed_at: noon + 2 * 3_600_000, resolved_at: null };
    await tableSink<Alert>({ name: 'sink.alerts', store, batch: sinkConfig.parse({}), table: alertsTable, columns: alertColumns }).process(inputsOf([both]), signal);
    const of = (drift: Awaited<ReturnType<typeof told>>) => drift.alerts.find(({ id }) => id === both.id);
    assert.deepEqual([of(await told())!.models, of(await told())!.sentence], [both.models, both.sentence]);
    const drift = driftSchema.parse(await told({ model: 'nanodet' }));
    assert.deepEqual([of(drift)!.models, of(drift)!.features, of(drift)!.examples], [['nanodet@1'], ['luma'], []]);
    assert.match(of(drift)!.sentence, /luma|bright|dark/i);
    assert.doesNotMatch(JSON.stringify(drift), /secret/);
    assert.deepEqual(of(await told({ model: 'secret' }))!.models, ['secret@2']);
    assert.doesNotMatch(JSON.stringify((await told({ model: 'secret' }))), /nanodet|luma/);
    assert.deepEqual(drift.alerts.find(({ id }) => id === alert!.id), alert, 'one of its own it hears whole');
  });

  test('once labels have said what confidence is worth, a window has an estimate of its accuracy, and before none', async () => {
    const calibrate = ['calibrate', 'gate', '--model', 'nanodet', '--labels', 'labels.csv'];
    assert.equal((await told()).streams[0]!.latest.accuracy, null);
    const seen = stream({ seed: 73, from: noon - 3_600_000, frames: 600 });
    await sinkStage({ store, clock: { now: () => noon }, batch: sinkConfig.parse({}) }).process(inputsOf(seen), signal);
    // Of every second frame the label is another: half of the answers are wrong, however sure.
    labels = ['frame_id,label', ...seen.flatMap(({ frame_id, detections }, i) => (i % 2 === 0 ? [...new Set(detections.map(({ label }) => `${frame_id},${label}`)), `${frame_id},`] : [`${frame_id},dog`]))].join('\n');
    assert.match((await run(...calibrate))[0]!, /^default\/nanodet@1\/gate: version 3, calibrated by \d+ answers, of which (4[89]|5[012]) % are right$/);
    assert.match((await run('list'))[0]!, /calibrated/);
    await see(stream({ seed: 74, from: noon + 90 * 60_000, frames: 4 * 60 * 6 }));
    const { latest, history } = driftSchema.parse(await told()).streams[0]!;
    const { estimate, low, high, normal } = latest.accuracy!;
    assert.ok(low < 0.5 && high > 0.5 && estimate > low && estimate < high && Math.abs(normal - 0.5) < 0.05, JSON.stringify(latest.accuracy));
    assert.equal(history.at(-1)!.accuracy, estimate);
    assert.equal(history[0]!.accuracy, null);
    // A new reference of the same version of the model keeps it; labels of nobody's frames say nothing.
    assert.match((await run('reference', 'gate', '--from', '2026-01-05T12:00Z', '--to', '2026-01-05T12:50Z'))[0]!, /version 4.*calibrated$/);
    labels = '00000000-0000-8000-8000-000000000001,cat';
    await assert.rejects(run(...calibrate), (error: SaccadeError) => error.code === 'bad_request' && /None of the 1 frames/.test(error.detail));
  });

  test('what is forgotten is normal no more', async () => {
    assert.deepEqual(await run('forget', 'gate', '--model', 'nanodet'), ['forgotten: default/nanodet@1/gate']);
    assert.deepEqual([...written.keys()], ['default/nanodet@1/yard/<b>']);
  });
});
