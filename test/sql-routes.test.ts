import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import Fastify, { type FastifyInstance } from 'fastify';
import { SaccadeError } from '../connectors/errors.ts';
import { installPrincipals, type Principal } from '../processors/edge/principal.ts';
import { installProblems } from '../processors/edge/problem.ts';
import { installDocument } from '../processors/edge/openapi/document.ts';
import { sqlRoutes } from '../processors/edge/sql-routes.ts';
import { problemOf } from './support/edge.ts';
import { type PeopleSql, peopleSql, secret } from './support/people-sql.ts';

describe('POST /v1/sql', { timeout: 120_000 }, () => {
  let people: PeopleSql;
  let app: FastifyInstance;
  let url: string;
  peopleSql('routes', (made) => (people = made));
  before(async () => {
    app = Fastify({ forceCloseConnections: true });
    installProblems(app);
    installPrincipals(app, async ({ headers }): Promise<Principal> => {
      if (headers.authorization !== 'Bearer key-of-mine') throw new SaccadeError('unauthenticated');
      return { id: 'me', tenant: 'mine', role: 'viewer', kind: 'key' };
    });
    await installDocument(app, { open: false });
    sqlRoutes(app, { ask: people.ask });
    url = await app.listen({ host: '127.0.0.1', port: 0 });
  });
  after(() => app?.close());

  const headers = { authorization: 'Bearer key-of-mine' };
  const post = (body: unknown): Promise<Response> => fetch(`${url}/v1/sql`, { method: 'POST', body: JSON.stringify(body), headers: { ...headers, 'content-type': 'application/json' } });
  const text = (sql: string, query = ''): Promise<Response> => fetch(`${url}/v1/sql${query}`, { method: 'POST', body: sql, headers: { ...headers, 'content-type': 'text/plain' } });

  test('answers JSON, with parameters', async () => {
    const response = await post({ query: 'select source, count() as n from predictions where source = {of:String} group by source', params: { of: 'gate' } });
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
    const { data, rows } = (await response.json()) as { data: { source: string; n: number | string }[]; rows: number };
    assert.deepEqual([data[0]!.source, Number(data[0]!.n), rows], ['gate', 1, 1]);
  });

  test('answers plain text in any format', async () => {
    assert.equal(await (await text('select source from predictions order by source', '?format=CSVWithNames')).text(), '"source"\n"camera"\n"gate"\n');
    assert.equal(await (await text('select 1 as a format JSONEachRow')).text(), '{"a":1}\n');
    const parquet = Buffer.from(await (await text('select * from predictions', '?format=Parquet')).arrayBuffer());
    assert.deepEqual([parquet.subarray(0, 4).toString(), parquet.subarray(-4).toString()], ['PAR1', 'PAR1']);
    const arrow = Buffer.from(await (await text('select id, score from predictions', '?format=Arrow')).arrayBuffer());
    assert.equal(arrow.subarray(0, 6).toString(), 'ARROW1');
  });

  test('the tenant is that of who asks', async () => {
    const everything = await (await text('select * from outcomes', '?format=JSONEachRow')).text();
    assert.ok(everything.includes('camera') && !everything.includes(secret));
    assert.equal((await fetch(`${url}/v1/sql`, { method: 'POST', body: 'select 1', headers: { 'content-type': 'text/plain' } })).status, 401);
  });

  test('says what is wrong, and with which field', async () => {
    assert.match((await problemOf(await text('select * from saccade.predictions_raw'), 403, 'forbidden_sql')).detail ?? '', /predictions_raw/);
    assert.match((await problemOf(await text('select nonsense from predictions'), 400, 'query_failed')).detail ?? '', /nonsense/);
    assert.match((await problemOf(await post({ query: 1 }), 400, 'bad_request')).detail ?? '', /query/);
    assert.match((await problemOf(await post({ query: 'select 1', settings: {} }), 400, 'bad_request')).detail ?? '', /settings/);
    assert.match((await problemOf(await post({ format: 'JSON' }), 400, 'bad_request')).detail ?? '', /either query or saved/);
    assert.match((await problemOf(await post({ query: 'select 1', format: 'Template' }), 403, 'forbidden_sql')).detail ?? '', /Template/);
    assert.match((await problemOf(await post({ query: 'select 1', params: { 'a b': 1 } }), 400, 'bad_request')).detail ?? '', /params/);
    await problemOf(await fetch(`${url}/v1/sql`, { method: 'POST', body: 'x', headers: { ...headers, 'content-type': 'image/jpeg' } }), 415, 'unsupported_media_type');
  });

  test('saved queries by name', async () => {
    const { queries } = (await (await fetch(`${url}/v1/sql/saved`, { headers })).json()) as { queries: { name: string; about: string; params: Record<string, string> }[] };
    assert.ok(queries.length >= 10 && queries.every(({ about }) => about.length > 20));
    const response = await post({ saved: 'unanswered', params: { days: 20_000 }, format: 'JSONEachRow' });
    assert.equal(response.status, 200, await response.clone().text());
    assert.match((await problemOf(await post({ saved: 'nothing' }), 404, 'not_found')).detail ?? '', /unanswered/);
    assert.match((await problemOf(await post({ saved: 'unanswered', params: { weeks: 1 } }), 400, 'bad_request')).detail ?? '', /weeks.*days/);
  });

  test('without a store it says so', async () => {
    const without = Fastify();
    installProblems(without);
    installPrincipals(without, async () => ({ id: 'me', tenant: 'mine', role: 'viewer', kind: 'key' }));
    await installDocument(without, { open: false });
    sqlRoutes(without, { ask: null });
    const { statusCode, body } = await without.inject({ method: 'POST', url: '/v1/sql', payload: 'select 1', headers: { 'content-type': 'text/plain' } });
    assert.equal(statusCode, 503);
    assert.match(body, /no store/);
  });
});
