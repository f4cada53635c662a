/** `drift reference|calibrate|list|forget`: finds the log and the store, and runs one command. */
import { readFileSync } from 'node:fs';
import { clickhouseStore } from '../../connectors/clickhouse/store.ts';
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import type { Store } from '../../connectors/ports.ts';
import { referencesTopic, topicSpecs } from '../../schemas/topics.ts';
import { readConfig } from '../config.ts';
import { openRunningLog, storeAt } from '../connect.ts';
import { systemClock } from '../runtime/clock.ts';
import { followTable } from '../runtime/control-table.ts';
import { help, readArguments } from './arguments.ts';
import { runDriftCommand } from './commands.ts';

export interface Terminal {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

/** Runs, prints, and answers the exit code. */
export async function driftCommand(argv: readonly string[], env: NodeJS.ProcessEnv, { stdout, stderr }: Terminal = process): Promise<number> {
  if (argv.length === 0 || argv.includes('--help') || argv.includes('-h')) {
    stdout.write(help);
    return 0;
  }
  const ending: (() => Promise<unknown>)[] = [];
  try {
    const { settings: s } = readConfig([], env);
    const now = systemClock.now();
    const command = readArguments(argv, now);
    const { log, running, close } = openRunningLog(s, 'saccade-drift', 'write to', 'say what is normal');
    ending.push(close);
    const replication = { partitions: 1, replication: s.SACCADE_REPLICATION, minInSync: Math.min(2, s.SACCADE_REPLICATION), maxRecordBytes: 8 * 1024 * 1024 };
    await log.ensureTopics(topicSpecs([], replication).filter(({ name }) => name === referencesTopic));
    const producer = await log.producer();
    ending.push(() => producer.close());
    const table = await followTable({ log, producer, clock: systemClock, topic: referencesTopic });
    ending.push(() => table.close());
    await runDriftCommand(
      {
        tenant: s.SACCADE_TENANT,
        now,
        references: () => table.entries(),
        readFile(path) {
          try {
            return readFileSync(path, 'utf8');
          } catch (error) {
            throw new SaccadeError('bad_request', `The labels cannot be read: ${(error as Error).message}.`, error);
          }
        },
        write: (key, value) => table.put(key, value),
        async store(): Promise<Store> {
          const at = storeAt(s, running);
          if (!at) throw new SaccadeError('store_unavailable', 'There is no store: set CLICKHOUSE_URL, or start the pipeline with a sink.');
          const store = clickhouseStore({ ...at, database: s.CLICKHOUSE_DATABASE, kind: running?.clickhouse?.kind === 'chdb' ? 'chdb' : 'clickhouse' });
          ending.push(() => store.close());
          return store;
        },
      },
      command,
      (line) => void stdout.write(`${line}\n`),
    );
    return 0;
  } catch (cause) {
    const error = asSaccadeError(cause);
    const asked = error.code === 'bad_request' || error.code === 'invalid_config';
    stderr.write(`${error.detail || error.message}\n${asked ? 'See npm run saccade -- drift --help.\n' : ''}`);
    return asked ? 2 : error.code === 'log_unavailable' || error.code === 'store_unavailable' ? 3 : 1;
  } finally {
    for (const end of ending.toReversed()) await end();
  }
}
