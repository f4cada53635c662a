/** The store as the edge reads it: fixed questions of ours, whose parameters the store binds. */
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import type { Store } from '../../connectors/ports.ts';
import { withOpenDetail } from './problem.ts';

/** Answers the rows. `params` bind `{name:Type}` placeholders. Throws store_unavailable. */
export type AskStore = <T>(sql: string, params: Readonly<Record<string, unknown>>) => Promise<T[]>;

/**
 * At the end of a question that is asked again and again about the newest rows: the blocks it unpacks, which never change, stay
 * unpacked for the next. A server that has no such cache (`uncompressed_cache_size`) unpacks them each time.
 */
export const remembered = 'SETTINGS use_uncompressed_cache = 1';

const noStore = 'This process has no store to read: set CLICKHOUSE_URL, or let it run the sink too (SACCADE_STAGES).';

/** `store` null: there is none, which every question is told. */
export const storeReader = (store: Pick<Store, 'query'> | null): AskStore => {
  if (store === null) return () => Promise.reject(withOpenDetail(new SaccadeError('store_unavailable', noStore)));
  return async <T>(sql: string, params: Readonly<Record<string, unknown>>) => {
    try {
      return await store.query<T>(sql, params);
    } catch (cause) {
      const error = asSaccadeError(cause, 'store_unavailable');
      // The question was ours, so no client is at fault: tables that no sink has made yet, or a limit of the store's.
      throw error.code === 'query_failed' ? new SaccadeError('store_unavailable', error.detail, error) : error;
    }
  };
};
