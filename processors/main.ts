/** The process: reads the configuration, runs what assembly/start.ts puts together, and ends it in order. */
import { join, resolve } from 'node:path';
import type { Logger } from 'pino';
import { SaccadeError } from '../connectors/errors.ts';
import { createLogger } from '../connectors/telemetry/logging.ts';
import { endWithParent } from '../deploy/local/watchdog.ts';
import type { End } from './assembly/foundation.ts';
import { start } from './assembly/start.ts';
import { type Config, helpText, readConfig } from './config.ts';
import { checkFolder } from './preflight.ts';
import { systemClock } from './runtime/clock.ts';
import { type Shutdown, shutdown } from './runtime/shutdown.ts';

const stopLimitMs = 10_000;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Ends the process in order, with the exit code given. */
function endOf(ending: Shutdown, logger: Logger): End {
  return async (why, code) => {
    process.exitCode ??= code;
    if (code !== 0) say(`stopping: ${why}`);
    logger.info({ why }, 'stopping');
    await ending.run();
    logger.flush();
    // Whatever still keeps the process alive has been told to end; the rest is for what it has yet to write.
    setTimeout(() => process.exit(), 500).unref();
  };
}

/** Runs until a signal, the parent's end, or a lost child. */
async function run(config: Config): Promise<void> {
  const { SACCADE_LOG: to, SACCADE_LOG_LEVEL: level, SACCADE_DATA: data } = config.settings;
  checkFolder(resolve(data));
  const logger = createLogger({ to, level, path: join(resolve(data), 'logs', 'saccade.log') });
  const ending = shutdown(systemClock, () => logger, stopLimitMs);
  const end = endOf(ending, logger);
  endWithParent((why) => void end(why, 0));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void end(signal, 0));
  try {
    await start(config, { logger, ending, end, say });
  } catch (error) {
    await ending.run();
    throw error;
  }
}

const describe = (error: unknown): string => {
  // A setting at fault needs its sentence, not a stack.
  if (error instanceof SaccadeError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
};

async function main(): Promise<void> {
  const config = readConfig(process.argv.slice(2), process.env);
  if (config.help) return say(helpText());
  await run(config);
}

main().catch((error: unknown) => {
  process.stderr.write(`saccade: ${describe(error)}\n`);
  process.exit(error instanceof SaccadeError && error.code === 'invalid_config' ? 2 : 1);
});
