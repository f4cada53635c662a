/** ClickHouse's HTTP protocol over the embedded engine, as far as the official client, curl and their like use it. */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { isThisMachine, withoutPort } from '../../schemas/this-machine.ts';
import type { Answer, Engine } from './engine.ts';
import { Exception, exceptionFrom } from './exception.ts';
import { nativeFor } from './native.ts';
import { readRequest } from './request.ts';
import { readStatement } from './statement.ts';

export interface HttpOptions {
  /** Largest body, as sent and unpacked. */
  readonly maxBodyBytes: number;
  /** Told when the engine itself is broken and every later query would fail. */
  readonly broken: (error: Error) => void;
}

const lingerMs = 5_000;

export function clickhouseHttp(engine: Engine, options: HttpOptions): Server {
  const server = createServer((req, res) => {
    serve(req, res, engine, options)
      .catch((error: unknown) => fail(req, res, engine, options, error))
      // The socket broke in the midst of the answer: there is nobody left to tell.
      .catch(() => res.destroy());
  });
  // Longer than any client keeps a socket idle, so that the client closes first and never writes into a closing one.
  server.keepAliveTimeout = 30_000;
  return server;
}

async function serve(req: IncomingMessage, res: ServerResponse, engine: Engine, { maxBodyBytes }: HttpOptions): Promise<void> {
  // No browser has business here: a web page could otherwise reach the store through its visitor's loopback. One whose own name was
  // made to lead there (DNS rebinding) sends neither of the headers that tell a browser.
  if (req.headers.origin !== undefined || req.headers['sec-fetch-site'] !== undefined || !isThisMachine(withoutPort(req.headers.host ?? 'localhost')))
    throw new Exception(497, 'ACCESS_DENIED', 'The embedded ClickHouse answers no browsers.', 403);
  const path = new URL(req.url ?? '/', 'http://localhost').pathname;
  if (path === '/ping' || path === '/replicas_status') return void res.setHeader('Content-Type', 'text/plain; charset=UTF-8').end('Ok.\n');
  if (path !== '/') throw new Exception(404, 'NOT_FOUND', `There is no handle ${path}.`, 404);

  const ask = await readRequest(req, maxBodyBytes);
  if (ask.sql === '' && ask.body.length === 0) {
    if (ask.readOnly) return void res.setHeader('Content-Type', 'text/plain; charset=UTF-8').end('Ok.\n');
    throw new Exception(62, 'SYNTAX_ERROR', 'Empty query');
  }
  const statement = readStatement(ask.sql, ask.body);
  const unwanted = new AbortController();
  res.once('close', () => unwanted.abort());
  const answer = await engine.run(statement, ask, ask.format, unwanted.signal);
  const format = (statement.kind === 'sql' && statement.format) || ask.format;
  const bytes = format === 'Native' && ask.protocolVersion > 0 ? nativeFor(ask.protocolVersion, answer.bytes) : answer.bytes;
  res.setHeader('Content-Type', contentType(format));
  res.setHeader('X-ClickHouse-Format', format);
  res.setHeader('X-ClickHouse-Query-Id', ask.queryId ?? randomUUID());
  res.setHeader('X-ClickHouse-Timezone', 'UTC');
  res.setHeader('X-ClickHouse-Server-Display-Name', 'saccade');
  res.setHeader('X-ClickHouse-Summary', summary(answer));
  if (!ask.gzip || bytes.length === 0) return void res.end(bytes);
  res.setHeader('Content-Encoding', 'gzip');
  res.end(await promisify(gzip)(bytes));
}

async function fail(req: IncomingMessage, res: ServerResponse, engine: Engine, { broken }: HttpOptions, error: unknown): Promise<void> {
  const exception = exceptionFrom(error);
  if (!req.complete) {
    // Closed on while it still sends, a client sees a broken connection instead of the answer: let it finish, within limits.
    await Promise.race([finished(req.resume()), sleep(lingerMs, undefined, { ref: false })]).catch(() => {});
    res.setHeader('Connection', 'close');
  }
  if (!res.headersSent) {
    res.writeHead(exception.status, {
      'Content-Type': 'text/plain; charset=UTF-8',
      'X-ClickHouse-Exception-Code': exception.code,
      'X-ClickHouse-Timezone': 'UTC',
    });
  }
  res.end(`${exception.message} (version ${engine.version})\n`);
  if (/fatal error/.test(exception.message)) broken(exception);
}

function contentType(format: string): string {
  if (/^JSON.*EachRow|^NDJSON|^JSONLines/.test(format)) return 'application/x-ndjson; charset=UTF-8';
  if (format.startsWith('JSON')) return 'application/json; charset=UTF-8';
  if (format.startsWith('CSV')) return 'text/csv; charset=UTF-8; header=absent';
  if (/^(TSV|TabSeparated)/.test(format)) return 'text/tab-separated-values; charset=UTF-8';
  if (format.startsWith('XML')) return 'application/xml; charset=UTF-8';
  if (/^(Native|RowBinary|Parquet|ORC|Avro|Arrow|MsgPack|Npy|Protobuf|CapnProto|BSON)/.test(format)) return 'application/octet-stream';
  return 'text/plain; charset=UTF-8';
}

/** Counters as strings: they are 64 bits wide. */
function summary(answer: Answer): string {
  return JSON.stringify({
    read_rows: `${answer.rowsRead}`,
    read_bytes: `${answer.bytesRead}`,
    written_rows: `${answer.rowsWritten}`,
    written_bytes: `${answer.bytesWritten}`,
    total_rows_to_read: '0',
    result_rows: `${answer.rowsRead}`,
    result_bytes: `${answer.bytes.length}`,
    elapsed_ns: `${Math.round(answer.seconds * 1e9)}`,
  });
}
