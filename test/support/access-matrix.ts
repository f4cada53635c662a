/** An edge and a SQL port with two tenants that have something wherever something can lie, and a key of each role for each of them. */
import { after, before } from 'node:test';
import type { RouteOptions } from 'fastify';
import sharp from 'sharp';
import { clickhouseReader } from '../../connectors/clickhouse/reader.ts';
import type { Store, StoreReader } from '../../connectors/ports.ts';
import { parseKey } from '../../processors/access/key.ts';
import { asking } from '../../processors/sql/ask.ts';
import { sqlLimits } from '../../processors/sql/config.ts';
import { tenantViews } from '../../processors/sql/views.ts';
import { type Role, roles } from '../../schemas/roles.ts';
import { anyDatabase, bearer, type ClosedEdge, startClosedEdge, type TestDatabase } from './closed-edge.ts';
import { picture, raw } from './edge.ts';
import { embeddedStore } from './embedded-store.ts';
import { eventually } from './pipeline.ts';
import { type Asked, type Belongings, requests } from './route-requests.ts';
import { fillStore } from './tenant-rows.ts';

const tenants = ['a', 'b', 'home'] as const;
export type Who = `${(typeof tenants)[number]} ${Role}`;

export interface Route {
  readonly method: string;
  readonly url: string;
  readonly needs: Role | 'anyone';
  readonly homeOnly: boolean;
  /** What it holds a key that is limited to. */
  readonly scope: string | undefined;
}

export const routesOf = (options: readonly RouteOptions[]): Route[] =>
  options.flatMap(({ method, url, config }) => {
    const { needs = 'admin', homeOnly = false, scope } = (config ?? {}) as { needs?: Role | 'anyone'; homeOnly?: boolean; scope?: string };
    return [method].flat().filter((one) => one !== 'OPTIONS').map((one) => ({ method: one, url, needs, homeOnly, scope }));
  });
export const nameOf = ({ method, url }: Route): string => `${method === 'HEAD' ? 'GET' : method} ${url}`;

export interface Matrix {
  readonly edge: ClosedEdge;
  /** Of the SQL port. */
  readonly doorUrl: string;
  readonly routes: readonly Route[];
  readonly keys: Readonly<Record<Who, string>>;
  readonly own: Readonly<Record<'a' | 'b', Belongings>>;
  as(who: Who): Record<string, string>;
  /** Does what the route is there for, with what `mine` names. */
  call(route: Route, headers: Record<string, string>, mine: Belongings): Promise<{ status: number; text: string }>;
  /** Whose marks are in a text. */
  marks(text: string): string[];
}

/** To be called inside a describe, as embeddedStore. */
export function accessMatrix(name: string, ready: (matrix: Matrix) => void): void {
  let database: TestDatabase;
  let edge: ClosedEdge;
  let opened: { store: Store; url: string };
  let reader: StoreReader;
  const keys = {} as Record<Who, string>;
  const own = {} as Record<'a' | 'b', Belongings>;
  const viewers = new AbortController();
  const as = (who: Who): Record<string, string> => bearer(keys[who]);

  embeddedStore(name, (store, url) => (opened = { store, url }));
  before(async () => {
    database = await anyDatabase();
    reader = clickhouseReader({ url: opened.url });
    const ask = asking({ reader, views: tenantViews(opened.store, 'saccade'), shown: 'saccade', limits: sqlLimits.parse({}) });
    edge = await startClosedEdge(database, { store: opened.store, ask });
    const doorUrl = await edge.door!.listen({ host: '127.0.0.1', port: 0 });
    for (const tenant of tenants) for (const role of roles) keys[`${tenant} ${role}`] = await edge.key(tenant, role, { label: `mark-of-${tenant}` });
    const small = await sharp(picture('coffee')).resize(64).jpeg().toBuffer();
    for (const [n, tenant] of (['a', 'b'] as const).entries()) {
      const frame = `00000000-0000-8000-8000-00000000000${n + 1}`;
      own[tenant] = { name: tenant, mark: `mark-of-${tenant}`, frame, key: parseKey(keys[`${tenant} trainer`])!.id, picture: small, live: await heldPicture(tenant) };
    }
    await fillStore(opened.store, [own.a, own.b]);
    ready({ edge, doorUrl, routes: routesOf(edge.routes), keys, own, as, call, marks });
  });
  after(async () => {
    viewers.abort();
    await edge?.door?.close();
    await edge?.close();
    await reader?.close();
    await database?.stop();
  });

  /** Somebody looks, so that pictures are held. */
  async function heldPicture(tenant: 'a' | 'b'): Promise<string> {
    const events = await fetch(`${edge.url}/live/events`, { headers: as(`${tenant} viewer`), signal: viewers.signal });
    void events.body?.pipeTo(new WritableStream()).catch(() => {});
    let frame = '';
    await eventually(async () => {
      const response = await fetch(`${edge.url}/v1/infer`, raw(picture('chelsea'), as(`${tenant} operator`)));
      frame = ((await response.json()) as { id: string }).id;
      return (await fetch(`${edge.url}/live/frames/${frame}`, { headers: as(`${tenant} viewer`) })).status === 200;
    }, 'a picture that is held');
    return frame;
  }

  async function call(route: Route, headers: Record<string, string>, mine: Belongings): Promise<{ status: number; text: string }> {
    const { path, body, type }: Asked = requests[nameOf(route)]!;
    const content = ['GET', 'HEAD'].includes(route.method) ? undefined : body?.(mine);
    const response = await fetch(`${edge.url}${path?.(mine) ?? route.url}`, {
      method: route.method,
      headers: { ...(type === undefined ? {} : { 'content-type': type }), ...headers },
      ...(content === undefined ? {} : { body: Buffer.isBuffer(content) ? new Uint8Array(content) : content }),
      signal: AbortSignal.timeout(20_000),
    });
    if (response.headers.get('content-type')?.startsWith('text/event-stream')) {
      await response.body?.cancel();
      return { status: response.status, text: '' };
    }
    return { status: response.status, text: await response.text() };
  }
  const marks = (text: string): string[] => (['a', 'b'] as const).filter((tenant) => text.includes(own[tenant].mark));
}
