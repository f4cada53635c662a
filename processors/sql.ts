/**
 * `npm run sql -- "select …"`: one question to the store the pipeline writes to, whether the pipeline runs or not.
 * Exits with 0, 1 when the query was refused, 2 when it was asked wrongly, 3 when there is no store to ask.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chdbFolder } from '../connectors/chdb/folder.ts';
import { startChdb } from '../connectors/chdb/start.ts';
import { clickhouseStore, type ClickHouseOptions } from '../connectors/clickhouse/store.ts';
import { asSaccadeError, SaccadeError, withoutCredentials } from '../connectors/errors.ts';
import type { Store } from '../connectors/ports.ts';
import { readConfig } from './config.ts';
import { grantStatements } from './sql/grants.ts';
import { savedQueries, savedQuery } from './sql/saved.ts';

const help = `SQL over what has been seen, while the pipeline runs or after.

  npm run sql -- "select label, count() from predictions group by label order by 2 desc"
  npm run sql -- --format CSVWithNames "select * from detections limit 10" > boxes.csv
  echo "select status, reason, count() from outcomes group by all" | npm run sql

Views:
  predictions   one row for each frame and model that was answered: label, score, labels, scores, embedding, timings_ms …
  detections    one row for each box: label, score, x1, y1, x2, y2 in pixels of the upright original
  outcomes      every frame and model, whatever became of it: status, stage, reason, detail
  outcomes_by_minute, outcomes_by_hour   how many of those: n, latency, scores, boxes
  frames        every frame: quality of its picture, what it is and where it lies in the log, why it is kept
  embeddings, timings, kept_frames       one row for each embedding, each phase of an answer's way, each frame that is kept to look at
  drift_windows, drift_features, alerts  five minutes of a source beside what is normal, feature by feature, and what followed
  labels_by_hour                         how often each class was seen: n, scores

  --saved NAME      a question worth keeping (schemas/queries); npm run sql saved lists them
  --param NAME=TEXT a parameter of it, or of a query's {NAME:Type}; repeatable
  --grants TENANT   the statements that let CLICKHOUSE_SQL_USER ask for this tenant on a server; repeatable

  --format NAME     any output format of ClickHouse [PrettyCompact on a terminal, else TSV]
  --database NAME   [CLICKHOUSE_DATABASE, saccade]
  --url URL         a ClickHouse over HTTP [CLICKHOUSE_URL, else the running pipeline's, else the embedded one's data]
  --help
`;

/** Long questions are the point of SQL. */
const timeoutMs = 600_000;

export interface Terminal {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream;
}

/** Asks, prints, and answers the exit code. */
export async function sqlCommand(argv: readonly string[], env: NodeJS.ProcessEnv, terminal: Terminal = process): Promise<number> {
  const { stdin, stdout, stderr } = terminal;
  const usage = (why: string): number => {
    stderr.write(`${why}\nSee npm run sql -- --help.\n`);
    return 2;
  };
  let asked: ReturnType<typeof parse>;
  try {
    asked = parse(argv);
  } catch (error) {
    return usage((error as Error).message.split('\n')[0]!);
  }
  if (asked.values.help) {
    stdout.write(help);
    return 0;
  }
  const { saved, grants, param = [] } = asked.values;
  if (grants) {
    const { settings: s } = readConfig([], env);
    stdout.write(`${grantStatements({ shown: s.CLICKHOUSE_DATABASE, user: s.CLICKHOUSE_SQL_USER ?? 'saccade_sql', tenants: grants, cluster: s.CLICKHOUSE_CLUSTER ?? null }).join(';\n')};\n`);
    return 0;
  }
  if (asked.positionals.length === 1 && asked.positionals[0] === 'saved') {
    for (const { name, about, params } of savedQueries()) stdout.write(`${name}\n    ${about}${Object.keys(params).length > 0 ? ` [${Object.entries(params).map((pair) => pair.join('=')).join(' ')}]` : ''}\n`);
    return 0;
  }
  if (param.some((pair) => !/^\w+=/.test(pair))) return usage(`--param takes NAME=TEXT, not ${param.find((pair) => !/^\w+=/.test(pair))}.`);
  const given = Object.fromEntries(param.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
  let question: ReturnType<typeof savedQuery> | undefined;
  try {
    question = saved === undefined ? undefined : savedQuery(saved, given);
  } catch (error) {
    return usage(asSaccadeError(error).detail);
  }
  if (!question && asked.positionals.length === 0 && stdin.isTTY) return usage('Nothing was asked: give a query, or pipe one in.');
  const sql = question ? question.sql : asked.positionals.length > 0 ? asked.positionals.join(' ') : await readAll(stdin);
  if (sql.trim() === '') return usage('Nothing was asked: the query is empty.');

  let opened: Opened | undefined;
  try {
    opened = await open(asked.values, env, (line) => stderr.write(`${line}\n`));
    const answer = await opened.store.text(sql, asked.values.format ?? (stdout.isTTY ? 'PrettyCompact' : 'TSV'), question?.params ?? given);
    await new Promise<void>((written) => stdout.write(answer, () => written()));
    return 0;
  } catch (cause) {
    const error = asSaccadeError(cause);
    stderr.write(`${error.detail || error.message}\n`);
    return error.code === 'query_failed' ? 1 : error.code === 'invalid_config' ? 2 : 3;
  } finally {
    await opened?.close();
  }
}

const parse = (argv: readonly string[]) =>
  parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { saved: { type: 'string' }, param: { type: 'string', multiple: true }, grants: { type: 'string', multiple: true }, url: { type: 'string' }, database: { type: 'string' }, format: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });

interface Opened {
  readonly store: Store;
  close(): Promise<void>;
}

/** The store that is named, else that of the running pipeline, else the data an embedded one has left. */
async function open(flags: { readonly url?: string | undefined; readonly database?: string | undefined }, env: NodeJS.ProcessEnv, say: (line: string) => void): Promise<Opened> {
  const { settings: s } = readConfig([], env);
  const login = { username: s.CLICKHOUSE_USER, password: s.CLICKHOUSE_PASSWORD, database: flags.database ?? s.CLICKHOUSE_DATABASE, timeoutMs };
  const given = flags.url ?? s.CLICKHOUSE_URL;
  if (given !== undefined) return reach({ ...login, url: given });

  const data = resolve(s.SACCADE_DATA);
  const running = runFile(data);
  if (running) {
    try {
      const { kind, ...at } = running;
      return await reach({ ...login, ...at, password: kind === 'chdb' ? '' : login.password });
    } catch (error) {
      // Left behind by a pipeline that was killed; its embedded store died with it, a server of one's own did not.
      if (running.kind !== 'chdb' || asSaccadeError(error).code !== 'store_unavailable') throw error;
    }
  }

  const folder = chdbFolder(data);
  if (!existsSync(join(folder, 'store')))
    throw new SaccadeError('store_unavailable', `There is nothing to ask: no pipeline runs on ${data}, and none has stored anything there. Start one with npm start.`);
  const chdb = await startChdb({ dataDir: folder });
  say(`No pipeline runs on ${data}: asking the data it left.`);
  const store = clickhouseStore({ ...login, url: chdb.url, kind: 'chdb' });
  return {
    store,
    async close() {
      await store.close();
      await chdb.stop();
    },
  };
}

async function reach(options: ClickHouseOptions): Promise<Opened> {
  const store = clickhouseStore(options);
  try {
    await store.ping();
  } catch (cause) {
    await store.close();
    throw new SaccadeError('store_unavailable', `ClickHouse cannot be reached at ${withoutCredentials(`${options.url}`)}: ${asSaccadeError(cause).detail}`, cause);
  }
  return { store, close: () => store.close() };
}

/** Where the running pipeline has its store, by run.json, which holds no password; a file that is not whole is none. */
function runFile(data: string): Pick<ClickHouseOptions, 'url' | 'username'> & { readonly kind: string } | null {
  try {
    const { clickhouse } = JSON.parse(readFileSync(join(data, 'run.json'), 'utf8')) as { clickhouse?: { kind?: string; url?: string; username?: string } };
    if (clickhouse?.url === undefined) return null;
    const { kind = 'given', url, username = 'default' } = clickhouse;
    return { kind, url, username };
  } catch {
    return null;
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  // `| head` has read enough: no error of ours.
  process.stdout.on('error', () => process.exit(0));
  process.exitCode = await sqlCommand(process.argv.slice(2), process.env);
}
