import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { startSpanExport, type SpanExport } from '../connectors/telemetry/spans.ts';
import { startEdgeUnderTest } from './support/edge.ts';
import { caughtUp, eventually, logWith, offer, passOn, pipelineOn, step } from './support/pipeline.ts';

interface ExportedSpan {
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  links?: { traceId: string; spanId: string }[];
}

/** What an OTLP collector is sent, by the real exporter over real HTTP. */
const spans: ExportedSpan[] = [];
const collector = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    const text = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString();
    const sent = JSON.parse(text) as { resourceSpans: { scopeSpans: { spans: ExportedSpan[] }[] }[] };
    for (const resource of sent.resourceSpans) for (const scope of resource.scopeSpans) spans.push(...scope.spans);
    response.end('{}');
  });
});

describe('spans', () => {
  let exporting: SpanExport | null = null;
  before(async () => {
    await new Promise<void>((resolve) => void collector.listen(0, '127.0.0.1', resolve));
    process.env.OTEL_EXPORTER_OTLP_ENDPOINT = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
    process.env.OTEL_EXPORTER_OTLP_PROTOCOL = 'http/json';
    process.env.OTEL_BSP_SCHEDULE_DELAY = '50';
    exporting = await startSpanExport(process.env);
  });
  after(async () => {
    await exporting?.stop();
    collector.close();
  });

  test('one trace follows a frame from the edge through the topics', async () => {
    const edge = await startEdgeUnderTest();
    const caller = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const response = await fetch(`${edge.url}/v1/infer?model=efficientnet-lite0`, {
      method: 'POST',
      headers: { 'content-type': 'image/jpeg', traceparent: caller },
      body: new Uint8Array(readFileSync('media/coffee.jpg')),
    });
    assert.equal(response.status, 200);
    const own = () => spans.filter(({ traceId }) => traceId === '4bf92f3577b34da6a3ce929d0e0e4736');
    await eventually(() => own().length >= 3, 'three spans of the trace');
    await edge.close();
    const chain = Object.fromEntries(own().map((span) => [span.name, span]));
    const [root, cut, infer] = [chain['POST /v1/infer']!, chain['preprocess process']!, chain['infer.efficientnet-lite0 process']!];
    assert.equal(root.parentSpanId, '00f067aa0ba902b7');
    assert.equal(cut.parentSpanId, root.spanId);
    assert.equal(infer.parentSpanId, cut.spanId);
  });

  test('a batch is a span that links to its records', async () => {
    const log = await logWith('in', 'out');
    await offer(log, 'in', ['a'], 6);
    const pipeline = await pipelineOn(log, [step({ name: 'batched', process: passOn('out') }, 'in', { out: 'out' })]);
    await pipeline.start();
    await eventually(() => caughtUp(log, 'g.batched', 'in'), 'all committed');
    await pipeline.stop(1000);
    await eventually(() => spans.some(({ name }) => name === 'batched batch'), 'the batch span');
    const batch = spans.find(({ name }) => name === 'batched batch')!;
    const records = new Set(spans.filter(({ name }) => name === 'batched process').map(({ spanId }) => spanId));
    assert.ok(batch.links!.length >= 2);
    for (const link of batch.links!) assert.ok(records.has(link.spanId));
  });
});

test('without an endpoint nothing is exported', async () => {
  assert.equal(await startSpanExport({}), null);
});
