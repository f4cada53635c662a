/**
 * Connections to the one engine. Settings, parameters and the current database stay with a connection, and one request's
 * must never meet another's (a `readonly` once made later inserts fail), so a connection is only ever used again
 * for a request that would set it up in just the same way.
 */
import { Session } from 'chdb';

export interface SetUp {
  readonly database: string | null;
  readonly settings: readonly (readonly [string, string])[];
  readonly params: readonly (readonly [string, string])[];
  readonly readOnly: boolean;
}

export interface Sessions {
  /** Lends a connection to `work`. It is not used again when `leavesTraces`. Throws what the engine throws. */
  with<T>(setUp: SetUp, leavesTraces: boolean, work: (session: Session) => Promise<T>): Promise<T>;
  close(): void;
}

/** Differ from the defaults of a server, and matter: the embedded engine's own are those of a command-line tool. */
const serverLike: readonly (readonly [string, string])[] = [
  ['async_insert', '0'],
  ['implicit_select', '0'],
  ['allow_introspection_functions', '0'],
  // A question about a day reads the weeks of that day alone, also under FINAL (schemas/clickhouse/README.md, Repeats).
  ['defer_partition_pruning_after_final', '0'],
  // An answer is held whole before it is sent: a careless SELECT * must end in an error, not in a process out of memory.
  ['max_result_bytes', `${256 * 1024 * 1024}`],
];

/** Of the engine as a whole: it shares the machine with the rest of the pipeline, and its caches are sized for a server. */
const engineArgs = [
  '--max_server_memory_usage_to_ram_ratio=0.5',
  '--mark_cache_size=268435456',
  // For the questions that ask for it: what a page reads of a week of half a million rows.
  '--uncompressed_cache_size=134217728',
];

export function sessions(dataDir: string, keepIdle = 16): Sessions {
  const idle = new Map<string, Session[]>();
  let kept = 0;

  return {
    async with(setUp, leavesTraces, work) {
      const key = JSON.stringify([setUp.database, setUp.settings, setUp.readOnly, setUp.params.map(([name]) => name)]);
      const again = idle.get(key)?.pop();
      if (again) kept--;
      const session = again ?? open(setUp);
      const locked = setUp.settings.filter(([name]) => name === 'readonly');
      // Locked, it takes no other parameters any more.
      let reusable = !leavesTraces && (locked.length === 0 || setUp.params.length === 0);
      try {
        if (setUp.params.length > 0) session.query(setting(setUp.params));
        if (locked.length > 0 && !again) session.query(setting(locked));
        return await work(session);
      } catch (error) {
        // What a failed query had put out already would come before the next one's answer.
        reusable = false;
        throw error;
      } finally {
        if (reusable) keep(key, session);
        else session.close();
      }
    },

    close() {
      for (const session of [...idle.values()].flat()) session.close();
      idle.clear();
    },
  };

  function open({ database, settings, readOnly }: SetUp): Session {
    const session = new Session(dataDir, { connectionArgs: engineArgs });
    try {
      if (database !== null && database !== '') session.query(`USE ${backquoted(database)}`);
      session.query(setting([...serverLike, ...settings.filter(([name]) => name !== 'readonly')]));
      // Last: it forbids most of the above. 2, as the server does for a GET: settings may still be given.
      if (readOnly) session.query('SET readonly = 2');
      return session;
    } catch (error) {
      session.close();
      throw error;
    }
  }

  function keep(key: string, session: Session): void {
    if (kept >= keepIdle) {
      const [oldest, [first]] = [...idle].find(([, list]) => list.length > 0)! as [string, Session[]];
      first!.close();
      idle.get(oldest)!.shift();
      kept--;
    }
    const list = idle.get(key) ?? [];
    // Again at the end of the map: its first entry is the one least recently used.
    idle.delete(key);
    idle.set(key, [...list, session]);
    kept++;
    for (const [other, sessionsOfIt] of idle) if (sessionsOfIt.length === 0) idle.delete(other);
  }
}

/** In one statement: each costs a millisecond, in which nothing else is served. */
const setting = (pairs: SetUp['settings']): string => `SET ${pairs.map(([name, value]) => `${identifier(name)} = ${literal(value)}`).join(', ')}`;
/** A NUL ends a statement for the engine, wherever it stands. */
const literal = (value: string): string => `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\0', '\\0')}'`;
const backquoted = (name: string): string => `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`').replaceAll('\0', '\\0')}\``;
const identifier = (name: string): string => (/^\w+$/.test(name) ? name : backquoted(name));
