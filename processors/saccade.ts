/** `npm run saccade -- COMMAND`: finds the log and runs one command. The commands are in operations/commands.ts. */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { asSaccadeError } from '../connectors/errors.ts';
import { pausesTopic } from '../schemas/pauses.ts';
import { policiesTopic } from '../schemas/policies.ts';
import { topicSpecs } from '../schemas/topics.ts';
import { accessCommand } from './access-commands/main.ts';
import { readConfig } from './config.ts';
import { openRunningLog } from './connect.ts';
import { driftCommand } from './drift/main.ts';
import { modelsCommand } from './model-commands/main.ts';
import { commandOf, help } from './operations/commands.ts';
import type { World } from './operations/world.ts';
import { groupsReading } from './readers.ts';
import { openTenants } from './tenants.ts';
import { systemClock } from './runtime/clock.ts';
import { followTable, tableGroups } from './runtime/control-table.ts';
import { backlog } from './runtime/drained.ts';

export interface Terminal {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

/** Runs, prints, and answers the exit code. `stopping` ends a command early, with what it began undone. */
export async function saccadeCommand(argv: readonly string[], env: NodeJS.ProcessEnv, stopping: AbortSignal, { stdout, stderr }: Terminal = process): Promise<number> {
  // They have a repository beside the log, and a help of their own.
  if (argv[0] === 'drift') return driftCommand(argv.slice(1), env, { stdout, stderr });
  if (argv[0] === 'models') return modelsCommand(argv.slice(1), env, { stdout, stderr });
  // They ask a database, and no log.
  if (['keys', 'tenants', 'second-factor', 'audit'].includes(argv[0] ?? '')) return accessCommand(argv, env, { stdout, stderr });
  const output = { print: (line: string) => void stdout.write(`${line}\n`), say: (line: string) => void stderr.write(`${line}\n`) };
  if (argv.length === 0 || argv.includes('--help') || argv.includes('-h')) {
    stdout.write(help());
    return 0;
  }
  const opened: World[] = [];
  try {
    const { command, rest } = commandOf(argv);
    const open = async (): Promise<World> => {
      const world = await openWorld(env);
      opened.push(world);
      return world;
    };
    await command.run(rest, open, output, stopping);
    return 0;
  } catch (cause) {
    // What failed while stopping, after something was changed, is told as what it is.
    if (stopping.aborted && (cause === stopping.reason || (cause as Error).cause === stopping.reason)) {
      output.say('interrupted: everything is as it was');
      return 130;
    }
    const error = asSaccadeError(cause);
    const asked = error.code === 'bad_request' || error.code === 'invalid_config';
    const unknown = error.code === 'not_found';
    output.say(`${error.detail || error.message}${asked ? '\nSee npm run saccade -- --help.' : ''}`);
    return asked || unknown ? 2 : error.code === 'log_unavailable' || error.code === 'metadata_unavailable' ? 3 : 1;
  } finally {
    for (const world of opened) await world.close();
  }
}

/** Throws log_unavailable when there is no log that another process can reach. */
async function openWorld(env: NodeJS.ProcessEnv): Promise<World> {
  const { settings: s } = readConfig([], env);
  let tenants: ReturnType<typeof openTenants> | null = null;
  const { log, admin, close } = openRunningLog(s, 'saccade-operations', 'ask', 'operate it');
  try {
    const replication = { replication: s.SACCADE_REPLICATION, minInSync: Math.min(2, s.SACCADE_REPLICATION) };
    await log.ensureTopics(topicSpecs([], { ...replication, partitions: 1, maxRecordBytes: 1024 * 1024 }).filter(({ name }) => name === pausesTopic || name === policiesTopic));
    const at = { log, producer: await log.producer(), clock: systemClock };
    const [pauses, policies] = await Promise.all([followTable({ ...at, topic: pausesTopic }), followTable({ ...at, topic: policiesTopic })]);
    return {
      log,
      admin,
      clock: systemClock,
      pauses,
      policies,
      followers: tableGroups(pausesTopic),
      readers: groupsReading,
      unfinished: (group, topic) => backlog(log, { group, from: topic }),
      tenants: () => (tenants ??= openTenants(s)),
      async close() {
        await Promise.all([close(), tenants?.then((opened) => opened.close(), () => {})]);
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  // `| head` has read enough: no error of ours.
  process.stdout.on('error', () => process.exit(0));
  const stopping = new AbortController();
  // Once: whoever asks a second time does not want to wait for the end of the first.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());
  process.exitCode = await saccadeCommand(process.argv.slice(2), process.env, stopping.signal);
}
