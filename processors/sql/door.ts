/**
 * ClickHouse's own HTTP interface, for people's clients: read-only, and each sees the views of their tenant. Who asks is found by
 * the edge's own authentication; the password (or X-ClickHouse-Key) is the key, the user's name says nothing.
 */
import { pipeline, type Readable } from 'node:stream';
import { promisify } from 'node:util';
import { brotliDecompress, createDeflate, createGzip, createBrotliCompress, gunzip, inflate } from 'node:zlib';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import type { Ask } from './ask.ts';
import { clientSettings } from './client-settings.ts';
import { compressedBlocks } from './compressed-blocks.ts';
import { exceptionOf } from './exceptions.ts';
import { mediaTypeOf } from './formats.ts';
import { gone } from './gone.ts';

const maxBodyBytes = 1024 * 1024;

export interface DoorOptions {
  readonly ask: Ask;
  /** The database as people know it. */
  readonly shown: string;
}

/** The password of a ClickHouse client as the bearer key that the edge's authentication looks for. Before any other hook. */
export function credentialsHook(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ headers, query, routeOptions }) => {
    // A web page could reach the store through its visitor's loopback.
    if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined) throw new SaccadeError('forbidden', 'No browser is answered here.');
    if (routeOptions.config.needs === 'anyone') return;
    const basic = /^Basic (.+)$/i.exec(headers.authorization ?? '')?.[1];
    const fromBasic = basic === undefined ? undefined : Buffer.from(basic, 'base64').toString().replace(/^[^:]*:?/, '');
    const fromHeader = headers['x-clickhouse-key'];
    const key = (typeof fromHeader === 'string' ? fromHeader : undefined) ?? fromBasic ?? (query as Record<string, string | undefined>).password;
    if (basic !== undefined) delete headers.authorization;
    if (key !== undefined && key !== '') headers.authorization = `Bearer ${key}`;
  });
}

/** Adds the routes, on an app of its own. */
export function doorRoutes(app: FastifyInstance, { ask, shown }: DoorOptions): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: maxBodyBytes }, (_request, body, done) => done(null, body));
  app.setErrorHandler((error, request, reply) => {
    const { status, code, text } = exceptionOf(request.is404 ? new SaccadeError('not_found') : asSaccadeError(error, (error as { statusCode?: number }).statusCode === 413 ? 'payload_too_large' : 'internal'));
    return reply.code(status).type('text/plain; charset=UTF-8').header('x-clickhouse-exception-code', code).send(text);
  });
  app.setNotFoundHandler((request) => {
    throw new SaccadeError('not_found', `There is no handle ${request.url.split('?')[0]!.slice(0, 100)}.`);
  });
  for (const path of ['/ping', '/replicas_status']) app.get(path, { config: { needs: 'anyone' } }, (_request, reply) => reply.type('text/plain; charset=UTF-8').send('Ok.\n'));
  app.route({ method: ['GET', 'POST'], url: '/', config: { needs: 'viewer' }, handler: (request, reply) => serve(request, reply, ask, shown) });
}

async function serve(request: FastifyRequest, reply: FastifyReply, ask: Ask, shown: string): Promise<FastifyReply> {
  const url = new URL(request.url, 'http://localhost').searchParams;
  const header = (name: string): string | undefined => (typeof request.headers[name] === 'string' ? request.headers[name] : undefined);
  const sql = [url.get('query') ?? '', await bodyOf(request)].filter((part) => part !== '').join('\n');
  if (sql.trim() === '' && request.method === 'GET') return reply.type('text/plain; charset=UTF-8').send('Ok.\n');
  const database = url.get('database') ?? header('x-clickhouse-database') ?? '';
  if (!['', 'default', shown].includes(database)) throw new SaccadeError('forbidden_sql', `There is no database ${database.slice(0, 80)} for you; there is ${shown}.`);
  const entries = [...url].filter(([name]) => name !== 'query' && !name.startsWith('param_'));
  const answer = await ask(request.principal.tenant, {
    sql,
    format: url.get('default_format') ?? header('x-clickhouse-format') ?? 'TabSeparated',
    escapedParams: Object.fromEntries([...url].filter(([name]) => /^param_\w+$/.test(name)).map(([name, value]) => [name.slice('param_'.length), value])),
    settings: clientSettings(entries),
    queryId: url.get('query_id') ?? undefined,
    signal: gone(reply),
  });
  void reply.type(mediaTypeOf(answer.format)!).headers({
    'x-clickhouse-format': answer.format,
    'x-clickhouse-query-id': answer.queryId,
    'x-clickhouse-timezone': 'UTC',
    'x-clickhouse-server-display-name': 'saccade',
    ...(answer.summary !== null && { 'x-clickhouse-summary': answer.summary }),
  });
  // A client that asks for it unpacks it itself; packed twice, an answer would only cost more.
  if (url.get('compress') === '1') return reply.send(through(answer.stream, compressedBlocks()));
  const packed = url.get('enable_http_compression') === '1' ? packing(header('accept-encoding') ?? '') : null;
  if (!packed) return reply.send(answer.stream);
  return reply.header('content-encoding', packed.encoding).send(through(answer.stream, packed.make()));
}

/** Unlike `pipe`, it ends either side with the other: a reader that leaves gives its turn back, an answer that is cut off ends. */
function through<T extends NodeJS.ReadWriteStream>(answer: Readable, to: T): T {
  pipeline(answer, to, () => {});
  return to;
}

const unpacking: Readonly<Record<string, (body: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>>> = { gzip: promisify(gunzip), deflate: promisify(inflate), br: promisify(brotliDecompress) };

/** The rest of the query, where it did not fit into the URL. */
async function bodyOf({ body, headers }: FastifyRequest): Promise<string> {
  if (!Buffer.isBuffer(body) || body.length === 0) return '';
  if (headers['content-type']?.startsWith('multipart/')) throw new SaccadeError('unsupported_media_type', 'No multipart bodies are read: give parameters in the URL.');
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding === 'identity') return body.toString();
  const unpack = unpacking[encoding];
  if (!unpack) throw new SaccadeError('unsupported_media_type', `No ${encoding} bodies are read: use gzip, deflate or br.`);
  return (await unpack(body, { maxOutputLength: maxBodyBytes }).catch((error: Error) => {
    throw new SaccadeError('bad_request', `The body is not ${encoding}, or too large: ${error.message}`);
  })).toString();
}

const packings = { gzip: createGzip, deflate: createDeflate, br: createBrotliCompress } as const;

function packing(accepted: string): { readonly encoding: string; make(): NodeJS.ReadWriteStream } | null {
  const offered = new Set(accepted.split(',').map((part) => part.split(';')[0]!.trim()));
  for (const [encoding, make] of Object.entries(packings)) if (offered.has(encoding)) return { encoding, make };
  return null;
}
