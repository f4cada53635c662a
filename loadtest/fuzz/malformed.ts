/** Requests that are wrong in one way or another, from a seed: the same seed makes the same requests. */
import { readFileSync } from 'node:fs';

export interface Malformed {
  /** What is wrong, for the report. */
  readonly kind: string;
  /** As it goes over the wire. */
  readonly bytes: Buffer;
  /** The client leaves when this many bytes are sent; null: it stays for its answer. */
  readonly leavesAfter: number | null;
}

type Draw = (below: number) => number;

/** mulberry32: small, seeded, even enough. */
function drawing(seed: number): Draw {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const routes = [
  'POST /v1/infer', 'POST /v1/batch_infer', 'GET /v1/results/', 'GET /v1/predictions', 'GET /v1/stats', 'GET /v1/models/', 'GET /v2/models/', 'POST /v2/models/nanodet/infer',
  'POST /v2/models/efficientnet-lite0/versions/2/infer', 'POST /graphql', 'GET /openapi.json', 'GET /live/frames/', 'POST /v1/sql', 'GET /graphql',
] as const;
const types = ['image/jpeg', 'image/', 'application/json', 'application/octet-stream', 'multipart/form-data', 'multipart/form-data; boundary=', 'multipart/form-data; boundary=x', 'text/plain', '', '\x7f', 'a/b;'.repeat(200)];
const values = ['', '0', '-1', '1e999', 'NaN', 'null', '%00', '%ff%fe', '%', "' OR 1=1 --", '../../etc/passwd', '{}', '[]', 'a'.repeat(3000), '2025-13-45T99:99:99Z', '9'.repeat(30), '\u{1f47e}', '__proto__', 'constructor'];
const names = ['model', 'wait', 'limit', 'cursor', 'since', 'until', 'min_score', 'label', 'status', 'source', 'accepted', '__proto__', 'a[b]', ''];

export function* malformed(seed: number, count: number): Generator<Malformed> {
  const draw = drawing(seed);
  const pick = <T>(from: readonly T[]): T => from[draw(from.length)]!;
  const picture = readFileSync('media/chelsea.jpg');
  const noise = (length: number): Buffer => Buffer.from(Array.from({ length }, () => draw(256)));
  const query = (): string => (draw(3) === 0 ? '' : `?${Array.from({ length: 1 + draw(4) }, () => `${pick(names)}=${encodeURI(pick(values)).replaceAll('%25', '%')}`).join('&')}`);
  /** Bits turned, bytes left out, a piece said twice. */
  function damaged(bytes: Buffer): Buffer {
    const copy = Buffer.from(bytes);
    for (let times = 1 + draw(8); times > 0 && copy.length > 0; times--) copy[draw(copy.length)] = draw(256);
    const at = draw(copy.length + 1);
    return draw(2) === 0 ? copy.subarray(0, at) : Buffer.concat([copy.subarray(0, at), copy.subarray(draw(at + 1), at), copy.subarray(at)]);
  }
  const http = (route: string, headers: Readonly<Record<string, string>>, body: Buffer, length: string | null = `${body.length}`): Buffer => {
    const [method, path] = route.split(' ') as [string, string];
    const at = path.endsWith('/') ? path + encodeURI(pick(values)).replaceAll('%25', '%') : path;
    const lines = Object.entries({ host: 'localhost', connection: 'close', ...headers, ...(length === null ? {} : { 'content-length': length }) }).map(([name, value]) => `${name}: ${value}`);
    return Buffer.concat([Buffer.from(`${method} ${at}${query()} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`), body]);
  };
  const form = (field: string, image: Buffer, boundary = 'x'): Buffer =>
    Buffer.concat([Buffer.from(`--${boundary}\r\ncontent-disposition: form-data; name="${field}"; filename="../../a\\"b.jpg"\r\ncontent-type: image/jpeg\r\n\r\n`), image, Buffer.from(`\r\n--${boundary}--\r\n`)]);
  const tensor = (): Buffer =>
    Buffer.from(JSON.stringify({ inputs: [{ name: pick(['image', '', '__proto__']), datatype: pick(['BYTES', 'UINT8', 'FP32', '']), shape: pick<unknown>([[1], [0], [-1], [1, 1e9, 1e9, 3], [1, 2, 2, 3], 'x', []]), data: pick<unknown>([['AAAA'], [1, 2, 3], [[[[[1]]]]], null, 'x', []]), parameters: pick<unknown>([undefined, { binary_data_size: 1e12 }, { binary_data_size: -5 }, { binary_data_size: 'a' }]) }] }));

  /** Fragments that each spread the next one twice: what is asked for doubles with each. */
  const doubling = (length: number): string => `{ ...f0 } ${Array.from({ length }, (_, n) => `fragment f${n} on Query { ...f${n + 1} ...f${n + 1} }`).join(' ')}`;

  const kinds: Record<string, () => Omit<Malformed, 'kind'>> = {
    noise: () => ({ bytes: noise(1 + draw(400)), leavesAfter: null }),
    'a broken head': () => ({ bytes: damaged(http(pick(routes), { 'content-type': pick(types) }, Buffer.alloc(0))), leavesAfter: 1e9 }),
    'too large a head': () => ({ bytes: http(pick(routes), { 'x-a': 'a'.repeat(20_000) }, Buffer.alloc(0)), leavesAfter: null }),
    'a wrong length': () => ({ bytes: http(pick(routes), { 'content-type': pick(types) }, noise(50), pick(['-1', 'x', '1e3', '99999999999', '1000000'])), leavesAfter: 1e9 }),
    'a chunk that is none': () => ({ bytes: http(pick(routes), { 'content-type': pick(types), 'transfer-encoding': 'chunked' }, Buffer.from(pick(['zz\r\n\r\n', 'ffffffffff\r\na', '5\r\nab', '0\r\n\r\nGET'])), null), leavesAfter: 1e9 }),
    'any type and body': () => ({ bytes: http(pick(routes), { 'content-type': pick(types), 'content-encoding': pick(['', 'gzip', 'br', 'x']) }, noise(draw(300))), leavesAfter: null }),
    'a damaged picture': () => ({ bytes: http('POST /v1/infer', { 'content-type': 'image/jpeg' }, damaged(picture.subarray(0, 20_000))), leavesAfter: null }),
    'a damaged form': () => ({ bytes: http(pick(['POST /v1/infer', 'POST /v1/batch_infer']), { 'content-type': 'multipart/form-data; boundary=x' }, damaged(form(pick(['image', 'images', '', '__proto__']), noise(200)))), leavesAfter: null }),
    'a form of another boundary': () => ({ bytes: http('POST /v1/batch_infer', { 'content-type': 'multipart/form-data; boundary=y' }, form('images', noise(50))), leavesAfter: null }),
    'a damaged tensor': () => ({ bytes: http('POST /v2/models/nanodet/infer', { 'inference-header-content-length': pick(['0', '5', '100000', 'x', '-1', '1e2']) }, damaged(tensor())), leavesAfter: null }),
    'a tensor that cannot be': () => ({ bytes: http('POST /v2/models/nanodet/infer', {}, tensor()), leavesAfter: null }),
    'JSON too deep': () => ({ bytes: http(pick(['POST /graphql', 'POST /v2/models/nanodet/infer', 'POST /v1/sql']), { 'content-type': 'application/json' }, Buffer.from('['.repeat(20_000))), leavesAfter: null }),
    'a GraphQL query that is none': () => ({ bytes: http('POST /graphql', { 'content-type': 'application/json' }, Buffer.from(JSON.stringify({ query: pick(['{', '{ a }', `{ ${'stats { '.repeat(500)}`, `query { ${'a: models { name } '.repeat(900)} }`, 'subscription { predictions { id } }', doubling(1 + draw(300)), 1]), variables: pick<unknown>(['x', null, [], { a: 1 }]) }))), leavesAfter: null }),
    'a client that leaves': () => ({ bytes: http(pick(['POST /v1/infer', 'POST /v1/batch_infer']), { 'content-type': pick(['image/jpeg', 'multipart/form-data; boundary=x']) }, form('images', picture)), leavesAfter: 100 + draw(20_000) }),
    'any method': () => ({ bytes: http(`${pick(['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'CONNECT', 'GETT', 'PROPFIND'])} ${pick(['/v1/infer', '/', '/v2', '/graphql', '*'])}`, {}, Buffer.alloc(0)), leavesAfter: null }),
    'an upgrade to nothing': () => ({ bytes: http(pick(['GET /v1/infer', 'GET /graphql', 'GET /v1/stream']), { connection: 'upgrade', upgrade: pick(['websocket', 'h2c', '']), 'sec-websocket-key': pick(['', 'x']), 'sec-websocket-version': '99' }, Buffer.alloc(0)), leavesAfter: 1e9 }),
    'a query of anything': () => ({ bytes: http(pick(['GET /v1/predictions', 'GET /v1/stats', 'GET /v1/results/', 'GET /v1/models/']), {}, Buffer.alloc(0)), leavesAfter: null }),
  };
  const every = Object.entries(kinds);
  for (let made = 0; made < count; made++) {
    const [kind, make] = every[made % every.length]!;
    yield { kind, ...make() };
  }
}
