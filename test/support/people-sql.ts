/** People's SQL over a store of two tenants: `mine` asks, and nothing of `theirs` may ever come out. */
import { text } from 'node:stream/consumers';
import { before, after } from 'node:test';
import { clickhouseReader } from '../../connectors/clickhouse/reader.ts';
import type { Store, StoreReader } from '../../connectors/ports.ts';
import { type Ask, asking } from '../../processors/sql/ask.ts';
import { type SqlLimits, sqlLimits } from '../../processors/sql/config.ts';
import { tenantViews } from '../../processors/sql/views.ts';
import { buildRollups } from '../../processors/sink/rollups/build.ts';
import type { Prediction } from '../../schemas/records.ts';
import { prediction } from '../contracts/store.ts';
import { embeddedStore } from './embedded-store.ts';
import { storePredictions } from './rows.ts';

/** In every field of theirs that could show. */
export const secret = 'theirs-and-nobody-elses';

const theirs = (n: number): Prediction =>
  prediction({ tenant: 'theirs', source: secret, model: `model-${secret}`, request_id: secret, detections: [{ class_id: n, label: secret, score: 0.5, x1: 1, y1: 1, x2: 2, y2: 2 }] });

export interface PeopleSql {
  readonly store: Store;
  readonly url: string;
  readonly ask: Ask;
  /** An Ask with other limits, on the same store. */
  with(limits: Partial<SqlLimits>): Ask;
  /** The answer of a query of `mine` as text. */
  answer(sql: string, options?: { format?: string; params?: Record<string, unknown>; tenant?: string; ask?: Ask }): Promise<string>;
}

/** To be called inside a describe, as embeddedStore. */
export function peopleSql(name: string, ready: (people: PeopleSql) => void, rows: () => readonly Prediction[] = () => [prediction({ tenant: 'mine' }), prediction({ tenant: 'mine', source: 'gate' })]): void {
  let reader: StoreReader | undefined;
  let opened: { store: Store; url: string };
  embeddedStore(name, (store, url) => (opened = { store, url }));
  before(async () => {
    const { store, url } = opened;
    await storePredictions(store, [...rows(), theirs(1), theirs(2)]);
    await buildRollups(store, { until: Date.now() + 3_600_000, clock: { now: Date.now }, builder: 'test' });
    reader = clickhouseReader({ url });
    const views = tenantViews(store, 'saccade');
    const make = (limits: Partial<SqlLimits>): Ask => asking({ reader: reader!, views, shown: 'saccade', limits: sqlLimits.parse(limits) });
    const ask = make({});
    ready({
      store,
      url,
      ask,
      with: make,
      async answer(sql, options = {}) {
        const { format = 'TSV', params, tenant = 'mine' } = options;
        const { stream } = await (options.ask ?? ask)(tenant, { sql, format, params, signal: new AbortController().signal });
        return text(stream);
      },
    });
  });
  after(() => reader?.close());
}
