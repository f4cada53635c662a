import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type EdgeUnderTest, problemOf, raw, startEdgeUnderTest } from '../support/edge.ts';
import { needsBrowser, openBrowser } from '../support/browser.ts';

interface Operation {
  summary?: string;
  tags?: string[];
  parameters?: { in: string; name: string; required?: boolean; schema: Record<string, unknown> }[];
  requestBody?: { content: Record<string, unknown> };
  security?: Record<string, string[]>[];
  responses: Record<string, { description: string; content?: Record<string, { schema: Record<string, unknown> }> }>;
}
interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown>; securitySchemes: Record<string, unknown> };
}

describe('the document of the API', () => {
  let edge: EdgeUnderTest;
  let document: Document;
  before(async () => {
    edge = await startEdgeUnderTest({ stages: [] });
    document = (await (await fetch(`${edge.url}/openapi.json`)).json()) as Document;
  });
  after(() => edge.close());

  test('is OpenAPI 3.1 and knows the routes, and no page', () => {
    assert.equal(document.openapi, '3.1.0');
    for (const path of ['/v1/infer', '/v1/batch_infer', '/health', '/ready', '/metrics']) assert.ok(document.paths[path], path);
    for (const path of Object.keys(document.paths)) assert.ok(!/^\/($|page|docs|live|openapi)/.test(path), path);
  });

  test('every operation has a summary, a tag, a described success and its refusals', () => {
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const [method, { summary, tags, responses }] of Object.entries(operations)) {
        const name = `${method} ${path}`;
        assert.ok(summary && tags?.length === 1, name);
        assert.ok(Object.keys(responses).some((status) => status.startsWith('2')), name);
        if (path.startsWith('/v1/')) for (const status of ['400', '401', '403', '500']) assert.ok(responses[status]?.content?.['application/problem+json'], `${name} ${status}`);
      }
    }
  });

  test('it says how one proves who one is, and where one need not', () => {
    assert.deepEqual(Object.keys(document.components.securitySchemes), ['bearer', 'key']);
    // This edge is open: nothing at all does as well.
    assert.deepEqual(document.paths['/v1/infer']!.post!.security, [{}, { bearer: [] }, { key: [] }]);
    assert.deepEqual(document.paths['/health']!.get!.security, []);
  });

  test('an upload is described by what it may be', () => {
    const { content } = document.paths['/v1/infer']!.post!.requestBody!;
    assert.deepEqual(Object.keys(content).sort(), ['application/octet-stream', 'image/jpeg', 'image/png', 'image/webp', 'multipart/form-data']);
  });

  test('so is a document with files beside it, as what it may be without them', () => {
    const { content } = document.paths['/graphql']!.post!.requestBody!;
    assert.deepEqual(Object.keys(content), ['application/json', 'multipart/form-data']);
    const [json, form] = Object.values(content as Record<string, { schema: { properties: Record<string, { properties: unknown; format?: string }>; required: string[] } }>).map(({ schema }) => schema);
    assert.deepEqual([Object.keys(json!.properties), json!.required], [['query', 'variables', 'operationName'], ['query']]);
    assert.deepEqual([form!.required, form!.properties['0']!.format], [['operations', 'map'], 'binary']);
    assert.deepEqual(form!.properties.operations!.properties, json!.properties);
  });

  test('every reference leads somewhere, and nothing is there that no route names', () => {
    const text = JSON.stringify(document);
    const named = new Set([...text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map((match) => match[1]!));
    assert.deepEqual([...named].sort(), Object.keys(document.components.schemas).sort());
    assert.ok(named.has('Answer') && named.has('Problem'));
    assert.doesNotMatch(text, /__SCHEMA__|\$id/);
  });

  test('what a request has that the document does not allow is named, field by field', async () => {
    const body = (await problemOf(await fetch(`${edge.url}/v1/infer?wait=perhaps&model=a&model=b`, raw(Buffer.from('x'))), 400, 'bad_request')) as unknown as { detail: string; errors: { field: string; message: string }[] };
    assert.deepEqual(body.errors.map(({ field }) => field).sort(), ['query.model', 'query.wait']);
    assert.match(body.detail, /query\.wait: /);
  });

  test('JSON that is none, and JSON where a picture is due', async () => {
    await problemOf(await fetch(`${edge.url}/v1/infer`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{' }), 415, 'unsupported_media_type');
  });

  test('/docs shows it in a browser, from this server alone and within its own policy', { skip: needsBrowser }, async () => {
    const browser = await openBrowser();
    try {
      const page = await browser.newPage();
      const faults: string[] = [];
      page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
      page.on('pageerror', (error) => faults.push(error.message));
      page.on('request', (request) => !request.url().startsWith(edge.url) && !request.url().startsWith('data:') && faults.push(`asks ${request.url()}`));
      page.on('response', (response) => response.status() >= 400 && faults.push(`${response.status()} ${response.url()}`));
      await page.goto(`${edge.url}/docs`);
      await page.waitForSelector('#operations-inference-post_v1_infer', { timeout: 20_000 });
      if (process.env.SACCADE_TEST_SCREENSHOT) await page.screenshot({ path: process.env.SACCADE_TEST_SCREENSHOT, fullPage: true });
      await page.click('#operations-inference-post_v1_infer button.opblock-summary-control');
      await page.waitForSelector('#operations-inference-post_v1_infer .responses-table');
      assert.deepEqual(faults, []);
    } finally {
      await browser.close();
    }
  });
});
