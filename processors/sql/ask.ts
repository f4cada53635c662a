/**
 * A question of people, from text to answer. The engine writes it anew in its own words, those are put into the names of the
 * tenant's database, and what came out is read by the engine once more and checked: what has been checked is what runs, letter
 * by letter. It runs read-only and within limits, on connections that nothing else uses.
 */
import { randomUUID } from 'node:crypto';
import { text as textOf } from 'node:stream/consumers';
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import type { ReadAnswer, ReadOptions, StoreReader } from '../../connectors/ports.ts';
import { checkTree } from './check.ts';
import type { SqlLimits } from './config.ts';
import { isFormat } from './formats.ts';
import { turnsByTenant } from './turns.ts';
import { treeOf } from './tree.ts';
import { databaseOf, viewNames } from './views.ts';
import { reworded } from './words.ts';

export interface Question {
  readonly sql: string;
  /** Where the query names none. */
  readonly format: string;
  readonly params?: Readonly<Record<string, unknown>> | undefined;
  /** The same in ClickHouse's escaped text, as clients of its HTTP interface send them. */
  readonly escapedParams?: Readonly<Record<string, string>> | undefined;
  /** Of the allow-list in client-settings.ts. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  readonly queryId?: string | undefined;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

export interface Answer extends ReadAnswer {
  readonly format: string;
  readonly queryId: string;
}

export interface AskOptions {
  readonly reader: StoreReader;
  /** Puts the tenant's views in place. */
  readonly views: (tenant: string) => Promise<string>;
  /** The database as people know it. */
  readonly shown: string;
  readonly limits: SqlLimits;
  /** On a server: the role that a tenant's questions run under. */
  readonly roleOf?: ((tenant: string) => string) | undefined;
}

/** Throws bad_request, forbidden_sql, query_failed, overloaded or store_unavailable. */
export type Ask = (tenant: string, question: Question) => Promise<Answer>;

/** Of one tenant: who comes when so many wait is told to come again. */
const mayWait = 50;

/** Of the largest size, that are held for those who asked until they have taken them. */
const mostUnread = 4;

export function asking({ reader, views, shown, limits, roleOf }: AskOptions): Ask {
  const turn = turnsByTenant(limits.atOnce, mayWait);
  /** Bytes of the answers that are not read to their end. */
  let unread = 0;
  return async (tenant, question) => {
    const { sql, signal } = question;
    if (sql.trim() === '') throw new SaccadeError('bad_request', 'The query is empty.');
    if (sql.length > limits.characters) throw new SaccadeError('bad_request', `The query is longer than ${limits.characters} characters.`);
    if (sql.includes('\0')) throw new SaccadeError('bad_request', 'The query holds a NUL character.');
    const { ran, read } = await turn(tenant, signal);
    try {
      // Few tenants that do not read would otherwise fill the memory, each within its own bounds.
      if (unread >= mostUnread * limits.resultBytes) throw new SaccadeError('overloaded', `Answers of ${unread} bytes are still being read.`);
      const given = await answer(tenant, question);
      const bytes = sizeOf(given);
      unread += bytes;
      given.stream.once('close', () => {
        unread -= bytes;
        read();
      });
      return given;
    } catch (error) {
      read();
      throw told(error, tenant);
    } finally {
      // The answer is whole by now (wait_end_of_query): reading it takes the engine no work.
      ran();
    }
  };

  async function answer(tenant: string, { sql, format: fallback, params, escapedParams = {}, settings = {}, queryId = randomUUID(), signal }: Question): Promise<Answer> {
    const database = await views(tenant);
    const role = roleOf?.(tenant);
    const under = { database, role, signal };
    const bound = Object.fromEntries(Object.entries(escapedParams).map(([name, value]) => [`param_${name}`, value]));
    const canonical = await inItsWords(sql, under);
    const question = reworded(canonical, { shown, database, views: viewNames });
    const format = question.format ?? fallback;
    const asked = { ...settings, ...question.settings };
    if (!isFormat(format)) throw new SaccadeError('forbidden_sql', `There is no format ${format} here.`);
    // In parentheses no FORMAT, no SETTINGS after it and no second statement can stand.
    const lines = await column(`EXPLAIN AST SELECT * FROM (${question.sql})`, { ...under, params }, bound);
    checkTree(treeOf(lines), { database, views: viewNames, shown });
    const read = await reader.read(question.sql, { ...under, format, params, queryId, settings: { ...asked, ...bound, ...limiting(asked) } });
    return { ...read, format, queryId };
  }

  /** In hex, so that nothing in it can end the literal it travels in. */
  async function inItsWords(sql: string, under: Parameters<typeof column>[1]): Promise<string> {
    try {
      return (await column(`SELECT formatQuerySingleLine(unhex('${Buffer.from(sql).toString('hex')}'))`, under))[0]!;
    } catch (cause) {
      const error = asSaccadeError(cause);
      if (error.code !== 'query_failed') throw error;
      // A client takes the first word in capitals and parentheses for the name of the error.
      const [at] = error.detail.replace(/:? ?In scope SELECT formatQuerySingleLine.*$/s, '').replace(/ \(SYNTAX_ERROR\)$/, '').split(/\. Expected one of|\n/);
      throw new SaccadeError('query_failed', `${at!.replace(/ \((\w+)\)/, " ('$1')")} (SYNTAX_ERROR)`, error);
    }
  }

  async function column(sql: string, options: Omit<ReadOptions, 'format' | 'settings'>, bound: Readonly<Record<string, string>> = {}): Promise<string[]> {
    const { stream } = await reader.read(sql, { ...options, format: 'JSONCompactColumns', settings: { ...bound, max_execution_time: limits.seconds, wait_end_of_query: 1 } });
    const [values] = JSON.parse(await textOf(stream)) as string[][];
    return values!;
  }

  /** A client may ask for less. */
  function limiting(asked: Readonly<Record<string, string>>): Record<string, string | number> {
    const least = (name: string, limit: number): number => {
      const value = Number(asked[name] ?? 0);
      return value > 0 && value < limit ? value : limit;
    };
    return {
      readonly: 1,
      max_execution_time: least('max_execution_time', limits.seconds),
      timeout_overflow_mode: 'throw',
      max_memory_usage: least('max_memory_usage', limits.memoryBytes),
      max_result_rows: least('max_result_rows', limits.rows),
      max_result_bytes: least('max_result_bytes', limits.resultBytes),
      result_overflow_mode: 'throw',
      // An answer is whole, or an error: in its midst nobody would look for one.
      wait_end_of_query: 1,
      // On a server: what nobody waits for any more ends.
      cancel_http_readonly_queries_on_client_close: 1,
    };
  }

  /** The tenant's database is called what people know it by. */
  function told(cause: unknown, tenant: string): SaccadeError {
    const error = asSaccadeError(cause);
    const detail = error.detail.replaceAll(databaseOf(shown, tenant), shown).replaceAll(/\b(\w+)\.system_(\w+)/g, 'system.$2');
    return detail === error.detail ? error : new SaccadeError(error.code, detail, cause);
  }
}

/** By the engine's own account. */
function sizeOf({ summary }: ReadAnswer): number {
  const { result_bytes: bytes = '0' } = JSON.parse(summary ?? '{}') as { readonly result_bytes?: string };
  return Number(bytes);
}
