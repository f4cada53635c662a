/** A request of ClickHouse's HTTP protocol, read and bounded. */
import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import { Exception, notImplemented } from './exception.ts';

export interface Ask {
  /** From the URL; the body follows it. May be empty. */
  readonly sql: string;
  readonly body: Buffer;
  readonly database: string | null;
  readonly format: string;
  /** Of ClickHouse's binary protocol, the version whose Native format is asked for; 0: of none. */
  readonly protocolVersion: number;
  readonly queryId: string | null;
  readonly settings: readonly (readonly [string, string])[];
  /** Values in ClickHouse's escaped text, as they came. */
  readonly params: readonly (readonly [string, string])[];
  /** A GET may not change anything. */
  readonly readOnly: boolean;
  readonly gzip: boolean;
}

/** Of the HTTP server, not of the engine; accepted, and without effect here: an answer is always whole before it is sent. */
const serverOnly =
  /^(user|password|quota_key|role|stacktrace|profile|buffer_size|wait_end_of_query|close_session|session_timeout|session_check|enable_http_compression|add_http_cors_header|cancel_http_readonly_queries_on_client_close|send_progress_in_http_headers|http_.*)$/;

/** Throws Exception for a body over `maxBytes` (as sent, or unpacked), and for what this server does not speak. */
export async function readRequest(req: IncomingMessage, maxBytes: number): Promise<Ask> {
  const query = new URL(req.url ?? '/', 'http://localhost').searchParams;
  const settings: [string, string][] = [];
  const params: [string, string][] = [];
  for (const [name, value] of query) {
    if (name === 'query' || name === 'database' || name === 'default_format' || name === 'query_id' || name === 'client_protocol_version') continue;
    if (name.startsWith('param_')) params.push([name, value]);
    else if (name === 'session_id') throw notImplemented('The embedded ClickHouse keeps no sessions between requests: leave session_id out.');
    else if (name === 'compress' || name === 'decompress') {
      if (value === '1') throw notImplemented(`The embedded ClickHouse speaks no ${name}=1: use HTTP compression.`);
    } else if (!serverOnly.test(name)) settings.push([name, value]);
  }
  if (req.headers['content-type']?.startsWith('multipart/form-data'))
    throw notImplemented('The embedded ClickHouse reads no multipart bodies: give parameters in the URL.');

  return {
    sql: query.get('query') ?? '',
    body: await readBody(req, maxBytes),
    database: query.get('database') ?? header(req, 'x-clickhouse-database'),
    format: query.get('default_format') ?? header(req, 'x-clickhouse-format') ?? 'TabSeparated',
    protocolVersion: Number(query.get('client_protocol_version') ?? 0),
    queryId: query.get('query_id'),
    settings,
    params,
    readOnly: req.method !== 'POST',
    gzip: query.get('enable_http_compression') === '1' && /\bgzip\b/.test(header(req, 'accept-encoding') ?? ''),
  };
}

const header = (req: IncomingMessage, name: string): string | null => {
  const value = req.headers[name];
  return typeof value === 'string' ? value : null;
};

const unpack = { gzip: promisify(gunzip), deflate: promisify(inflate), br: promisify(brotliDecompress) } as const;

async function readBody(req: IncomingMessage, maxBytes: number): Promise<Buffer> {
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Not destroyed when left early: the answer still has to go out on its socket.
  for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  const encoding = req.headers['content-encoding'] ?? 'identity';
  if (encoding === 'identity' || body.length === 0) return body;
  if (!(encoding in unpack)) throw notImplemented(`The embedded ClickHouse reads no ${encoding} bodies: use gzip, deflate or br.`);
  try {
    return await unpack[encoding as keyof typeof unpack](body, { maxOutputLength: maxBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(maxBytes);
    throw new Exception(354, 'ZLIB_INFLATE_FAILED', `The body is not ${encoding}: ${(error as Error).message}`, 400);
  }
}

const tooLarge = (maxBytes: number): Exception =>
  new Exception(307, 'TOO_MANY_BYTES', `The request is larger than ${maxBytes} bytes: send the rows in several.`, 413);
