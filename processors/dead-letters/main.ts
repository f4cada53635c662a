/** `npm run dlq -- list|show|replay|discard`: finds the log and runs one command. Exit codes are in help.ts. */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { asSaccadeError } from '../../connectors/errors.ts';
import { openRepository } from '../../connectors/models/repository.ts';
import type { Log, LogProducer } from '../../connectors/ports.ts';
import { handledTopic, inputTopic, modelsTopic, topicSpecs } from '../../schemas/topics.ts';
import { type Config, readConfig } from '../config.ts';
import { openBlobs, openRunningLog, openRunningRegistry } from '../connect.ts';
import { maskPolicyOf, openMasking } from '../masking.ts';
import { policyAsked } from '../policies-topic.ts';
import { followModelsTopic } from '../models-topic.ts';
import { systemClock } from '../runtime/clock.ts';
import { glance } from '../runtime/glance.ts';
import { readArguments } from './arguments.ts';
import { runCommand } from './commands.ts';
import { help } from './help.ts';
import type { Survey, World } from './world.ts';

export interface Terminal {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

/** Runs, prints, and answers the exit code. `stopping` ends a long replay between two chunks. */
export async function dlqCommand(argv: readonly string[], env: NodeJS.ProcessEnv, stopping: AbortSignal, terminal: Terminal = process): Promise<number> {
  const { stdout, stderr } = terminal;
  let opened: { world: World; close(): Promise<void> } | undefined;
  try {
    const command = readArguments(argv, systemClock.now());
    if (command.name === 'help') {
      stdout.write(help);
      return 0;
    }
    opened = open(readConfig([], env), stopping);
    return await runCommand(opened.world, command, {
      print: (line) => void stdout.write(`${line}\n`),
      say: (line) => void stderr.write(`${line}\n`),
    });
  } catch (cause) {
    const error = asSaccadeError(cause);
    const asked = error.code === 'bad_request' || error.code === 'invalid_config';
    stderr.write(`${error.detail || error.message}\n${asked ? 'See npm run dlq -- --help.\n' : ''}`);
    return asked ? 2 : error.retryable ? 3 : 1;
  } finally {
    await opened?.close();
  }
}

/** Connects to nothing yet. Throws log_unavailable when there is no log that another process can reach. */
function open({ settings: s }: Config, stopping: AbortSignal): { world: World; close(): Promise<void> } {
  const { log, admin, running, data, close } = openRunningLog(s, 'saccade-dlq', 'ask', 'read its dead letters');
  const policy = policyAsked({ log, topics: () => admin.topics(), clock: systemClock, settings: maskPolicyOf(s), say: () => {} });
  const masking = openMasking({ settings: s, repository: openRepository(s.SACCADE_MODELS_DIR), engine: null, clock: systemClock, policy });
  const specs = topicSpecs([], {
    partitions: s.SACCADE_PARTITIONS,
    replication: s.SACCADE_REPLICATION,
    minInSync: Math.min(2, s.SACCADE_REPLICATION),
    maxRecordBytes: 1024 * 1024,
  });
  return {
    world: {
      log,
      survey: admin,
      registry: openRunningRegistry(s, running),
      blobs: openBlobs(s, data),
      masker: masking.masker,
      tenantOf: (input) => (input === inputTopic ? s.SACCADE_TENANT : (s.SACCADE_TENANT_TOPICS.get(input) ?? null)),
      unloaded: () => unloaded(log, admin),
      clock: systemClock,
      handledSpec: specs.find(({ name }) => name === handledTopic)!,
      stopping,
    },
    close: async () => void (await Promise.all([masking.close(), close()])),
  };
}

function unloaded(log: Log, survey: Survey): Promise<ReadonlySet<string>> {
  const follow = (producer: LogProducer) => followModelsTopic({ log, producer, clock: systemClock, say: () => {}, changed: () => {} });
  return glance({ log, topics: () => survey.topics() }, modelsTopic, new Set<string>(), follow, (topic) => new Set(topic.names().filter((name) => topic.control(name).state === 'gone')));
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  // `| head` has read enough: no error of ours.
  process.stdout.on('error', () => process.exit(0));
  const stopping = new AbortController();
  const argv = process.argv.slice(2);
  // Only a replay has something to finish; asked a second time it ends at once too.
  if (argv.includes('replay')) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());
  process.exitCode = await dlqCommand(argv, process.env, stopping.signal);
}
