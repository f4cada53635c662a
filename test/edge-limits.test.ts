/** What the edge does when there is too much, when something fails, and when it is told to stop. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { describe, test } from 'node:test';
import { SaccadeError } from '../connectors/errors.ts';
import type { ConsumerHandlers } from '../connectors/ports.ts';
import type { Principal } from '../processors/edge/principal.ts';
import { fileRegistry } from '../connectors/registry/files.ts';
import { predictionId } from '../schemas/ids.ts';
import type { Frame, Prediction } from '../schemas/records.ts';
import { type EdgeUnderTest, picture, type Problem, problemOf, raw, startEdgeUnderTest } from './support/edge.ts';
import { eventually, readAll } from './support/pipeline.ts';

describe('what is in hand is bounded before it is read', () => {
  /** An upload whose body does not come: resolves once the server has its head, so that what follows is counted after it. */
  async function begin(edge: EdgeUnderTest, length: number | null) {
    const { port } = new URL(edge.url);
    const headers = { 'content-type': 'image/jpeg', expect: '100-continue', ...(length === null ? {} : { 'content-length': length }) };
    const upload = request({ port, method: 'POST', path: '/v1/infer', headers });
    const answer = new Promise<string>((resolve) => {
      upload.on('response', (response) => {
        let body = '';
        response.on('data', (chunk) => (body += chunk)).on('end', () => resolve(`${response.statusCode} ${(JSON.parse(body) as Problem).code}`));
      });
      upload.on('error', () => resolve('left'));
    });
    const arrived = new Promise((resolve) => upload.once('continue', resolve).once('response', resolve));
    upload.flushHeaders();
    await arrived;
    return { answer, leave: () => upload.destroy() };
  }

  async function refusal(edge: EdgeUnderTest, length: number): Promise<string> {
    const { answer, leave } = await begin(edge, length);
    const said = await answer;
    leave();
    return said;
  }

  test('uploads above the bound are refused while their bodies are still on their way, and leaving makes room', async () => {
    const edge = await startEdgeUnderTest({ stages: [], requestTimeoutMs: 100, maxImageBytes: 1_000_000, maxUploadBytes: 2_500_000 });
    const small = async () => (await fetch(`${edge.url}/v1/infer`, raw(picture('chelsea')))).status;
    // One says how long it is, the other does not and counts as the longest there may be.
    const slow = [await begin(edge, 1_000_000), await begin(edge, null)];
    assert.equal(await refusal(edge, 900_000), '503 overloaded');
    assert.equal(await small(), 504, 'what still fits is let in');
    for (const { leave } of slow) leave();
    await eventually(async () => {
      const again = await begin(edge, 900_000);
      const first = await Promise.race([again.answer, small()]);
      again.leave();
      return first === 504;
    }, 'room for another');
    assert.match(await (await fetch(`${edge.url}/metrics`)).text(), /saccade_edge_refused_total\{code="overloaded"\} [1-9]/);
    await edge.close();
  });

  test('requests are counted while they are read, and one that is not ready is refused unread', async () => {
    const edge = await startEdgeUnderTest({ stages: [], maxWaiting: 1 });
    const unready = await startEdgeUnderTest({ stages: [], open: false });
    const slow = await begin(edge, 1000);
    assert.equal(await refusal(edge, 1000), '503 overloaded');
    assert.equal(await refusal(unready, 1000), '503 not_ready');
    slow.leave();
    await Promise.all([edge.close(), unready.close()]);
  });

  test('what the pipeline would answer late is refused unread; what nobody waits for is not', async () => {
    const edge = await startEdgeUnderTest({ stages: [], requestTimeoutMs: 3_000, pace: { paceFirst: 1, paceLeast: 1 } });
    const ask = (query = '') => fetch(`${edge.url}/v1/infer${query}`, raw(picture('chelsea')));
    const one = ask();
    await eventually(async () => edge.edge.waiting === 1, 'it is in the pipeline');
    assert.equal(await refusal(edge, 1_000), '503 overloaded');
    const other = ask('?model=nanodet');
    const behind = await ask();
    assert.deepEqual([behind.status, behind.headers.get('retry-after')], [503, '1']);
    assert.equal((await ask('?wait=0')).status, 202);
    const batch = new FormData();
    for (const name of ['chelsea', 'coffee']) batch.append('images', new Blob([new Uint8Array(picture(name))], { type: 'image/jpeg' }), name);
    await problemOf(await fetch(`${edge.url}/v1/batch_infer`, { method: 'POST', body: batch }), 503, 'overloaded');
    assert.deepEqual([(await one).status, (await other).status], [504, 504], 'each model has a pace of its own');
    const { items } = (await (await fetch(`${edge.url}/v1/batch_infer`, { method: 'POST', body: batch })).json()) as { items: { error: Problem }[] };
    assert.deepEqual(items.map(({ error }) => error.code), ['deadline_exceeded', 'deadline_exceeded'], 'of several that come together none is left out');
    await edge.close();
  });

  test('a key that is limited to a model means that where it names none: the door refuses it for no other', async () => {
    const limited: Principal = { id: 'k', tenant: 'default', role: 'operator', kind: 'key', scope: { models: ['nanodet'], sources: null } };
    const edge = await startEdgeUnderTest({ stages: [], requestTimeoutMs: 1_500, pace: { paceFirst: 1, paceLeast: 1 }, access: async () => ({ authenticate: async ({ headers }) => (headers.limited ? limited : { ...limited, scope: undefined }), guard() {}, routes() {} }) });
    const ask = (headers = {}) => fetch(`${edge.url}/v1/infer`, raw(picture('chelsea'), headers));
    const first = ask();
    await eventually(async () => edge.edge.waiting === 1, 'it is in the pipeline');
    assert.equal((await ask()).status, 503);
    const own = ask({ limited: 'yes' });
    await eventually(async () => edge.edge.waiting === 2, 'it is let in');
    assert.equal((await ask({ limited: 'yes' })).status, 503);
    assert.deepEqual([(await first).status, (await own).status], [504, 504]);
    await edge.close();
  });

  test('a request with more pictures than may wait at once is let in when nothing else waits', async () => {
    const edge = await startEdgeUnderTest({ stages: [], requestTimeoutMs: 1_500, pace: { maxAwaited: 1 } });
    const batch = () => {
      const body = new FormData();
      for (const name of ['chelsea', 'coffee']) body.append('images', new Blob([new Uint8Array(picture(name))], { type: 'image/jpeg' }), name);
      return fetch(`${edge.url}/v1/batch_infer`, { method: 'POST', body });
    };
    const first = batch();
    await eventually(async () => edge.edge.waiting === 2, 'it waits');
    await problemOf(await batch(), 503, 'overloaded');
    assert.equal((await first).status, 200);
    await edge.close();
  });
});

interface Line {
  readonly level: 'warn' | 'error';
  readonly message: string;
  readonly fields: { code?: string; status?: number; route?: string; traceId?: string; err?: Error };
}

function collectingLog() {
  const lines: Line[] = [];
  const at = (level: Line['level']) => (fields: object, message: string) => void lines.push({ level, message, fields });
  return { lines, logger: { warn: at('warn'), error: at('error') } };
}

describe('failures are logged', () => {
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';

  /** An edge whose frames cannot be written: `send` throws what is given. */
  const failing = (error: Error, logger: ReturnType<typeof collectingLog>['logger']) =>
    startEdgeUnderTest({
      stages: [],
      logger,
      wrap: (log) => ({
        ...log,
        async producer() {
          const producer = await log.producer();
          return { ...producer, send: async (records) => (records.some(({ topic }) => topic === 'frames') ? Promise.reject(error) : producer.send(records)) };
        },
      }),
    });

  test('500: the log has code, route, trace and cause; the body has none of it', async () => {
    const { lines, logger } = collectingLog();
    const edge = await failing(new TypeError('secret of /srv/app'), logger);
    const response = await fetch(`${edge.url}/v1/infer?token=x`, raw(picture('chelsea'), { traceparent }));
    assert.match(response.headers.get('traceparent') ?? '', new RegExp(traceId));
    const body = await problemOf(response, 500, 'internal');
    assert.doesNotMatch(JSON.stringify(body), /secret/);
    await edge.close();
    assert.equal(lines.length, 1);
    const { level, fields } = lines[0]!;
    assert.equal(level, 'error');
    assert.deepEqual([fields.code, fields.status, fields.route, fields.traceId], ['internal', 500, 'POST /v1/infer', traceId]);
    assert.equal(fields.err?.message, 'secret of /srv/app');
  });

  test('503 for a log that is away: logged, and the body names no host', async () => {
    const { lines, logger } = collectingLog();
    const edge = await failing(new SaccadeError('log_unavailable', 'broker-7:9092 refused'), logger);
    const response = await fetch(`${edge.url}/v1/infer`, raw(picture('chelsea')));
    const given = response.headers.get('traceparent')!;
    assert.doesNotMatch(JSON.stringify(await problemOf(response, 503, 'log_unavailable')), /broker-7/);
    await edge.close();
    assert.deepEqual(lines.map(({ level, fields }) => [level, fields.code]), [['warn', 'log_unavailable']]);
    assert.ok(given.includes(lines[0]!.fields.traceId!), 'the trace that the response named');
  });

  test('what is refused by design is not logged', async () => {
    const { lines, logger } = collectingLog();
    const edge = await startEdgeUnderTest({ stages: [], open: false, logger });
    await problemOf(await fetch(`${edge.url}/v1/infer`, raw(picture('chelsea'))), 503, 'not_ready');
    await problemOf(await fetch(`${edge.url}/nothing`), 404, 'not_found');
    await edge.close();
    assert.deepEqual(lines, []);
  });
});

test('an edge that lost the log refuses requests until it has a partition again and a probe has come back', async () => {
  const { lines, logger } = collectingLog();
  let handlers: ConsumerHandlers | null = null;
  let deliver = true;
  const edge = await startEdgeUnderTest({
    stages: [],
    requestTimeoutMs: 100,
    logger,
    wrap: (log) => ({
      ...log,
      async consumer(options) {
        if (!options.group.startsWith('saccade.edge.')) return log.consumer(options);
        handlers = options.handlers;
        return log.consumer({ ...options, handlers: { ...options.handlers, records: (...given) => deliver && options.handlers.records(...given) } });
      },
    }),
  });
  const post = () => fetch(`${edge.url}/v1/infer`, raw(picture('chelsea')));
  const probes = async () => (await readAll(edge.log, 'replies')).map(({ key }) => key?.toString() ?? '');
  await problemOf(await post(), 504, 'deadline_exceeded');
  const before = await probes();

  handlers!.failed!(new SaccadeError('log_unavailable'));
  await problemOf(await post(), 503, 'not_ready');
  assert.equal((await fetch(`${edge.url}/ready`)).status, 503);
  assert.equal(lines.filter(({ message }) => /replies/.test(message)).length, 1);

  deliver = false;
  handlers!.assigned(2, []);
  await eventually(async () => (await probes()).length > before.length, 'a probe');
  assert.ok(!before.includes((await probes()).at(-1)!), 'an old probe that is read again must prove nothing');
  await problemOf(await post(), 503, 'not_ready');
  deliver = true;
  await eventually(async () => (await fetch(`${edge.url}/ready`)).status === 200, 'readiness');
  await problemOf(await post(), 504, 'deadline_exceeded');
  await edge.close();
});

describe('stopping', () => {
  const post = (edge: EdgeUnderTest) => fetch(`${edge.url}/v1/infer`, raw(picture('chelsea')));
  const sent = (edge: EdgeUnderTest) => eventually(async () => (await readAll(edge.log, 'frames')).length === 1, 'the frame in the log');

  test('a request in flight is answered, one that comes later is refused, and a viewer is let go', async () => {
    const edge = await startEdgeUnderTest({ stages: [] });
    const viewer = (await fetch(`${edge.url}/live/events`)).text();
    const inFlight = post(edge);
    await sent(edge);
    const closing = edge.close();
    await problemOf(await post(edge), 503, 'not_ready');
    assert.match(await (await fetch(`${edge.url}/ready`)).text(), /stopping/);
    await answerByHand(edge);
    const response = await inFlight;
    assert.equal(response.status, 200);
    assert.equal(((await response.json()) as { predictions: { label: string }[] }).predictions[0]!.label, 'by hand');
    assert.match(await viewer, /event: snapshot/);
    await closing;
    await assert.rejects(fetch(`${edge.url}/health`), 'nothing listens any more');
  });

  test('a request whose answer does not come in time is told that the service stops', async () => {
    const edge = await startEdgeUnderTest({ stages: [], drainMs: 50 });
    const inFlight = post(edge);
    await sent(edge);
    const closing = edge.close();
    const body = await problemOf(await inFlight, 503, 'not_ready');
    assert.match(body.detail!, /stopping/);
    await closing;
  });
});

/** Answers the one frame in the log as the pipeline would. */
async function answerByHand(edge: EdgeUnderTest): Promise<void> {
  const registry = fileRegistry();
  const [record] = await readAll(edge.log, 'frames');
  const frame = (await registry.decode('frames', record!.value!)) as Frame;
  const { request_id, partition } = frame.reply!;
  const prediction: Prediction = {
    id: predictionId(frame.id, frame.models[0]!), frame_id: frame.id, tenant: frame.tenant, source: frame.source, sequence: null,
    captured_at: frame.captured_at, accepted_at: frame.accepted_at, completed_at: frame.accepted_at, status: 'ok', stage: null, reason: null,
    detail: null, model: frame.models[0]!, version: '1', fallback_for: null, task: 'classification', image_width: 4, image_height: 3,
    labels: [{ class_id: 0, label: 'by hand', score: 1 }], detections: [], embedding: null, quality: null, timings_ms: {}, request_id, cached: false, picture: null,
  };
  const producer = await edge.log.producer();
  await producer.send([{ topic: 'replies', partition, key: request_id, value: await registry.encode('replies', prediction) }]);
}
