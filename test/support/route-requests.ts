/**
 * A request for each route of the edge that does what the route is there for, on what a tenant has: the matrix of tenants and
 * roles sends it as everybody. A route that is not here fails its test.
 */
import type { Tenant } from './tenant-rows.ts';

/** What one tenant has that a request could name. */
export interface Belongings extends Tenant {
  /** Of a frame whose picture is held for the page. */
  readonly live: string;
  /** Of a key that may be revoked. */
  readonly key: string;
  /** A small JPEG. */
  readonly picture: Buffer;
}

export interface Asked {
  /** Under the URL of the route where it has no parameters. */
  readonly path?: (mine: Belongings) => string;
  readonly body?: (mine: Belongings) => string | Buffer | FormData;
  readonly type?: string;
  /** What its owner is answered. */
  readonly status: number;
  /** The answer has the owner's mark. */
  readonly tells?: boolean;
  /** It names something of its owner's, which for anybody else is not there. */
  readonly names?: boolean;
  /** A socket or a stream that does not end; tried by tests of its own. */
  readonly open?: boolean;
  /** It may be done once: not as the owner. */
  readonly once?: boolean;
}

const json = 'application/json';
const encode = (mine: Belongings): string => mine.picture.toString('base64');
const tensor = (mine: Belongings): string => JSON.stringify({ inputs: [{ name: 'image', datatype: 'BYTES', shape: [2], data: [encode(mine), encode(mine)] }] });
function form(mine: Belongings): FormData {
  const made = new FormData();
  for (const name of ['a.jpg', 'b.jpg']) made.append('images', new Blob([new Uint8Array(mine.picture)], { type: 'image/jpeg' }), name);
  return made;
}

/** All questions of GraphQL at once, by what is there of the owner. */
const everything = ({ frame, picture }: Belongings): string =>
  JSON.stringify({
    query: `query ($id: ID!) {
      predictions(limit: 100) { items { source model answer { detections { label } } error { code } } }
      stats { models { model } classes { label } endings { reason } }
      drift { streams { source model latest { sentence features { name labels } } } alerts { source sentence } }
      result(id: $id) { status outcomes { model } }
      models { name }
    }`,
    variables: { id: frame, image: picture.toString('base64') },
  });

let made = 0;

export const requests: Readonly<Record<string, Asked>> = {
  'GET /metrics': { status: 200 },
  'POST /v1/infer': { path: () => '/v1/infer?model=efficientnet-lite0', body: ({ picture }) => picture, type: 'image/jpeg', status: 200 },
  'POST /v1/batch_infer': { path: () => '/v1/batch_infer?model=efficientnet-lite0', body: form, status: 200 },
  'GET /v1/results/:id': { path: ({ frame }) => `/v1/results/${frame}`, status: 200, tells: true, names: true },
  'GET /v1/predictions': { path: () => '/v1/predictions?limit=100', status: 200, tells: true },
  'GET /v1/stats': { status: 200, tells: true },
  'GET /v1/drift': { status: 200, tells: true },
  'GET /v1/models': { status: 200 },
  'GET /v1/models/:name': { path: () => '/v1/models/nanodet', status: 200 },
  'GET /v2': { status: 200 },
  'GET /v2/models/:model': { path: () => '/v2/models/nanodet', status: 200 },
  'GET /v2/models/:model/versions/:version': { path: () => '/v2/models/nanodet/versions/1', status: 200 },
  'GET /v2/models/:model/ready': { path: () => '/v2/models/nanodet/ready', status: 200 },
  'GET /v2/models/:model/versions/:version/ready': { path: () => '/v2/models/nanodet/versions/1/ready', status: 200 },
  'POST /v2/models/:model/infer': { path: () => '/v2/models/efficientnet-lite0/infer', body: tensor, type: json, status: 200 },
  'POST /v2/models/:model/versions/:version/infer': { path: () => '/v2/models/nanodet/versions/1/infer', body: tensor, type: json, status: 200 },
  'POST /graphql': { body: everything, type: json, status: 200, tells: true },
  'GET /graphql': { status: 426, open: true },
  'GET /v1/stream': { status: 426, open: true },
  'GET /live/events': { status: 200, open: true },
  'GET /live/frames/:id': { path: ({ live }) => `/live/frames/${live}`, status: 200, names: true },
  'GET /v1/frames/:id/image': { path: ({ live }) => `/v1/frames/${live}/image`, status: 200, names: true },
  'GET /v1/sql/saved': { status: 200 },
  'POST /v1/sql': { path: () => '/v1/sql?format=JSONEachRow', body: () => 'select * from outcomes', type: 'text/plain', status: 200, tells: true },
  'POST /v1/tickets': { status: 201 },
  'GET /v1/admin/keys': { status: 200, tells: true },
  'POST /v1/admin/keys': { body: ({ mark }) => JSON.stringify({ role: 'viewer', label: mark }), type: json, status: 201, tells: true },
  'DELETE /v1/admin/keys/:id': { path: ({ key }) => `/v1/admin/keys/${key}`, status: 200, names: true, once: true },
  'GET /v1/admin/tenants': { status: 200 },
  'POST /v1/admin/tenants': { body: () => JSON.stringify({ name: `made-${++made}` }), type: json, status: 201 },
  'PUT /v1/admin/tenants/:name/faces': { path: () => '/v1/admin/tenants/home/faces', body: () => JSON.stringify({ faces: null }), type: json, status: 200 },
  'POST /v1/admin/second-factor': { status: 201, once: true },
  'POST /v1/admin/second-factor/confirm': { body: () => JSON.stringify({ code: '000000' }), type: json, status: 404, once: true },
};
