import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { confluentRegistry } from '../connectors/registry/confluent.ts';
import type { Log, Store } from '../connectors/ports.ts';
import type { Frame } from '../schemas/records.ts';
import { needsKafka } from './support/components.ts';
import { kcat, needsKcat } from './support/kafka.ts';
import { eventually, readAll } from './support/pipeline.ts';
import { allGone, count, logOf, processesOf, runFileOf, type Saccade, startSaccade, storeOf } from './support/saccade.ts';

const run = promisify(execFile);

/** The one promise: what was accepted by frames.in has one outcome for each model, and no id appears twice. */
async function everyFrameHasItsOutcomes(log: Log, store: Store): Promise<void> {
  const offered = (await log.endOffsets('frames.in')).reduce((sum, { offset }) => sum + offset, 0);
  assert.ok(offered > 20, `${offered} frames`);
  const fromTopic = "select count() as n from outcomes where source != 'http'";
  await eventually(async () => (await count(store, fromTopic)) >= 2 * offered, `${2 * offered} outcomes`, 90_000);
  assert.equal(await count(store, fromTopic), 2 * offered);
  assert.equal(await count(store, 'select count() - uniqExact(id) as n from outcomes'), 0);
  assert.equal(await count(store, 'select count() - uniqExact(frame_id, model) as n from outcomes'), 0);
}

describe('Saccade, started as a user starts it', { skip: needsKafka, timeout: 290_000 }, () => {
  const data = mkdtempSync(join(tmpdir(), 'saccade-system-'));
  let first: Saccade;
  let url: string;
  let store: Store;
  let log: Log;
  let decoded: { id: string; bytes: Buffer };

  before(async () => {
    // Slower than a camera: a busy machine must still keep up, or every wait below is a wait for the backlog.
    first = startSaccade(data, ['--fps', '2']);
    url = await first.ready();
    store = storeOf(runFileOf(data));
    log = logOf(runFileOf(data));
  });
  after(async () => {
    first.child.kill('SIGKILL');
    await log?.close();
    await store?.close();
    rmSync(data, { recursive: true, force: true, maxRetries: 20 });
  });

  test('it is on a real Kafka, and says what it chose', () => {
    const { kafka, registry, clickhouse, edge } = runFileOf(data);
    assert.deepEqual([kafka.kind, registry.kind, clickhouse?.kind, edge?.url], ['embedded', 'apicurio', 'chdb', url]);
    for (const choice of [/kafka .*started here/, /registry .*Apicurio/, /clickhouse .*chdb/, /models .*efficientnet-lite0@\d.*nanodet@1/]) assert.match(first.output(), choice);
  });

  test('the demo camera is seen by both models, in ClickHouse', async () => {
    for (const model of ['efficientnet-lite0', 'nanodet']) {
      await eventually(async () => (await count(store, `select count() as n from predictions where model = '${model}' and source = 'demo'`)) > 5, `predictions of ${model}`, 60_000);
    }
    await eventually(async () => (await count(store, "select count() as n from detections where label in ('person', 'cup', 'cat')")) > 0, 'boxes', 60_000);
  });

  test('npm run sql answers while the pipeline runs', async () => {
    const { stdout } = await run(process.execPath, ['deploy/local/bootstrap.mjs', 'sql', "select count() > 0 from predictions where source = 'demo'"], {
      env: { ...process.env, SACCADE_DATA: data },
    });
    assert.equal(stdout.trim(), '1');
  });

  test('a picture over HTTP is answered through the topics', async () => {
    const body = new FormData();
    body.set('image', new Blob([readFileSync('media/coffee.jpg')]), 'coffee.jpg');
    const answer = (await (await fetch(`${url}/v1/infer?model=efficientnet-lite0`, { method: 'POST', body })).json()) as { id: string; predictions: { label: string; score: number }[] };
    assert.equal(answer.predictions?.[0]?.label, 'espresso', JSON.stringify(answer));
    assert.ok(answer.predictions[0].score > 0.8);
    await eventually(async () => (await count(store, `select count() as n from predictions where frame_id = '${answer.id}'`)) === 1, 'its row');
  });

  test('the same picture again is answered from the cache, and its row says so', async () => {
    const ask = async () => (await (await fetch(`${url}/v1/infer?model=nanodet`, { method: 'POST', headers: { 'content-type': 'image/jpeg' }, body: readFileSync('media/coffee.jpg') })).json()) as { id: string; cached: boolean; detections: unknown };
    const inferred = await ask();
    let again = inferred;
    // The answer is kept beside its way to whoever asked.
    await eventually(async () => (again = await ask()).cached, 'an answer from the cache');
    assert.deepEqual([inferred.cached, again.detections], [false, inferred.detections]);
    await eventually(async () => (await count(store, `select countIf(cached) as n from predictions where frame_id in ('${inferred.id}', '${again.id}')`)) === 1, 'both rows');
  });

  test('the page, readiness and metrics are served', async () => {
    assert.match(await (await fetch(url)).text(), /<!doctype html>/i);
    assert.equal((await fetch(`${url}/ready`)).status, 200);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    for (const name of ['saccade_stage_records_total{stage="sink"', 'saccade_camera_frames_total{source="demo",outcome="acknowledged"}', 'saccade_stage_lag_records{stage="infer.nanodet"']) assert.ok(metrics.includes(name), name);
  });

  test('kcat produces plain JPEGs under every compression; noise is one dead letter and stops nothing', { skip: needsKcat }, async () => {
    const { brokers } = runFileOf(data).kafka;
    const produce = (args: string[]) => kcat(['-P', '-t', 'frames.in', ...args], '', brokers);
    const noise = join(data, 'noise');
    writeFileSync(noise, Buffer.concat([Buffer.from([7]), randomBytes(1023)]));
    await produce(['-k', 'kcat-noise', noise]);
    const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];
    for (const codec of codecs) await produce(['-z', codec, '-k', `kcat-${codec}`, 'media/chelsea.jpg']);
    for (const codec of codecs) {
      await eventually(async () => (await count(store, `select count() as n from predictions where source = 'kcat-${codec}'`)) === 2, `both rows of kcat-${codec}`, 60_000);
      assert.equal(await count(store, `select count() as n from predictions where source = 'kcat-${codec}' and model = 'efficientnet-lite0' and label ilike '%cat%'`), 1, codec);
    }
    const letters = (await readAll(log, 'frames.in.dlq')).filter(({ key }) => key?.toString() === 'kcat-noise');
    assert.equal(letters.length, 1);
    assert.equal(letters[0]!.headers['saccade-error-code'], 'unsupported_media_type');
    assert.deepEqual(letters[0]!.value, readFileSync(noise));
    assert.equal(await count(store, "select count() as n from outcomes where source = 'kcat-noise' and status = 'dead_lettered'"), 2);
  });

  test('a second process joins: two that decode and infer share the partitions', async () => {
    const second = startSaccade(data, ['--stages', 'preprocess,infer']);
    const ops = await second.ready();
    const partitionsOf = async (address: string): Promise<Set<string>> => {
      const text = await (await fetch(`${address}/metrics`)).text();
      return new Set([...text.matchAll(/saccade_stage_lag_records\{stage="preprocess",topic="[^"]+",partition="(\d+)"\}/g)].map((m) => m[1]!));
    };
    await eventually(async () => {
      const [one, two] = await Promise.all([partitionsOf(url), partitionsOf(ops)]);
      return one.size === 4 && two.size === 4 && new Set([...one, ...two]).size === 8;
    }, 'four partitions each', 60_000);
    assert.equal(await second.interrupt(), 0);
    await eventually(async () => (await partitionsOf(url)).size === 8, 'all partitions back', 60_000);
    assert.equal(runFileOf(data).edge?.url, url, 'the run file stays with its owner');
  });

  test('a second whole pipeline on the same folder is refused by name', async () => {
    const intruder = startSaccade(data);
    await assert.rejects(intruder.ready(), new RegExp(`already runs on .*pid ${runFileOf(data).pid}`));
    assert.equal(intruder.child.exitCode, 2);
  });

  test('kill -9, and everything it started ends too', async () => {
    const frames = await readAll(log, 'frames');
    const bytes = frames.at(-1)!.value!;
    const earlier = confluentRegistry({ url: runFileOf(data).registry.url! });
    decoded = { id: ((await earlier.decode('frames', bytes)) as Frame).id, bytes };
    await Promise.all([log.close(), store.close()]);
    const pids = processesOf(runFileOf(data));
    process.kill(pids[0]!, 'SIGKILL');
    await allGone(pids);
  });

  test('the next start loses nothing, repeats nothing, and the registry knows every id', async () => {
    const second = startSaccade(data, ['--source', 'none']);
    first = second;
    url = await second.ready();
    store = storeOf(runFileOf(data));
    log = logOf(runFileOf(data));
    await everyFrameHasItsOutcomes(log, store);
    const registry = confluentRegistry({ url: runFileOf(data).registry.url! });
    assert.equal(((await registry.decode('frames', decoded.bytes)) as Frame).id, decoded.id);
  });

  test('Ctrl-C stops everything it started, and removes the run file', async () => {
    const pids = processesOf(runFileOf(data));
    assert.equal(pids.length, 4);
    assert.equal(await first.interrupt(), 0);
    await allGone(pids);
    assert.throws(() => runFileOf(data), /nothing runs/);
  });

  test('with its tensors in the log, the same pipeline gives the same outcomes, and infer may join alone', async () => {
    first = startSaccade(data, ['--source', 'none', '--fuse', 'none']);
    url = await first.ready();
    await Promise.all([log.close(), store.close()]);
    store = storeOf(runFileOf(data));
    log = logOf(runFileOf(data));
    const hops = async () => (await log.endOffsets('tensors.nanodet')).reduce((sum, { offset }) => sum + offset, 0);
    const earlier = await hops();
    const response = await fetch(`${url}/v1/infer?model=nanodet`, { method: 'POST', headers: { 'content-type': 'image/jpeg' }, body: new Uint8Array(readFileSync('media/astronaut.jpg')) });
    const answer = (await response.json()) as { detections: { label: string }[] };
    assert.ok(answer.detections?.some(({ label }) => label === 'person'), JSON.stringify(answer));
    assert.equal(await hops(), earlier + 1, 'the topic between them was skipped until now');
    const second = startSaccade(data, ['--stages', 'infer']);
    await second.ready();
    assert.doesNotMatch(second.output(), /gets nothing/);
    assert.equal(await second.interrupt(), 0);
    assert.equal(await first.interrupt(), 0);
  });

  test('every stage a process of its own does the same job, joined by folder or by URL', async () => {
    const owner = startSaccade(data, ['--stages', 'ingest,edge', '--source', 'none']);
    first = owner;
    url = await owner.ready();
    const { kafka, registry, clickhouse } = runFileOf(data);
    const elsewhere = mkdtempSync(join(tmpdir(), 'saccade-elsewhere-'));
    const others = [
      startSaccade(data, ['--stages', 'preprocess']),
      startSaccade(data, ['--stages', 'infer']),
      startSaccade(elsewhere, ['--stages', 'sink'], { KAFKA_BROKERS: kafka.brokers[0]!, SCHEMA_REGISTRY_URL: registry.url!, CLICKHOUSE_URL: clickhouse!.url }),
    ];
    await Promise.all(others.map((other) => other.ready()));
    await Promise.all([log.close(), store.close()]);
    store = storeOf(runFileOf(data));
    log = logOf(runFileOf(data));
    const response = await fetch(`${url}/v1/infer`, { method: 'POST', headers: { 'content-type': 'image/jpeg' }, body: new Uint8Array(readFileSync('media/coffee.jpg')) });
    const answer = (await response.json()) as { id: string; predictions: { label: string }[] };
    assert.equal(answer.predictions?.[0]?.label, 'espresso', JSON.stringify(answer));
    await eventually(async () => (await count(store, `select count() as n from predictions where frame_id = '${answer.id}'`)) === 1, 'its row');
    for (const process of [...others, owner]) assert.equal(await process.interrupt(), 0, process.output());
    rmSync(elsewhere, { recursive: true, force: true, maxRetries: 20 });
  });
});

test('without Java the in-process log takes over, and says so loudly', { timeout: 120_000 }, async () => {
  const data = mkdtempSync(join(tmpdir(), 'saccade-system-'));
  const nowhere = mkdtempSync(join(tmpdir(), 'saccade-no-java-'));
  symlinkSync('/bin/sh', join(nowhere, 'sh'));
  const saccade = startSaccade(data, ['--models', 'efficientnet-lite0'], { PATH: nowhere, JAVA_HOME: '' });
  const url = await saccade.ready();
  assert.match(saccade.output(), /NOT DURABLE/);
  assert.equal(runFileOf(data).kafka.kind, 'memory');
  const response = await fetch(`${url}/v1/infer`, { method: 'POST', headers: { 'content-type': 'image/jpeg' }, body: new Uint8Array(readFileSync('media/coffee.jpg')) });
  assert.equal(((await response.json()) as { predictions: { label: string }[] }).predictions[0]!.label, 'espresso');
  const joining = startSaccade(data, ['--stages', 'infer']);
  await assert.rejects(joining.ready(), /in its own memory/);
  assert.equal(await saccade.interrupt(), 0);
  for (const folder of [data, nowhere]) rmSync(folder, { recursive: true, force: true, maxRetries: 20 });
});
