/** `models list|load|unload|use|thresholds|tune|quantise`: finds the repository and the log, and runs one command. */
import { randomUUID } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { asSaccadeError } from '../../connectors/errors.ts';
import { parseModelChoice } from '../../connectors/models/model-choice.ts';
import { openRepository, type Repository } from '../../connectors/models/repository.ts';
import { keyOf, type Model } from '../../schemas/model-card.ts';
import { deadLetterTopic, modelsTopic, tensorTopic, topicSpecs } from '../../schemas/topics.ts';
import { topicDefaults } from '../assembly/topic-defaults.ts';
import { type Config, readConfig } from '../config.ts';
import { openRunningLog } from '../connect.ts';
import { createEngine, type Engine } from '../infer/engine.ts';
import { foldGraph } from '../infer/fold/fold.ts';
import { fits } from '../infer/serving.ts';
import { followModelsTopic } from '../models-topic.ts';
import { quantiseCommand } from '../quantise/main.ts';
import { groupsReading } from '../readers.ts';
import { systemClock } from '../runtime/clock.ts';
import { tableGroups } from '../runtime/control-table.ts';
import { unfinished } from '../runtime/lag.ts';
import { checkModel, engineSettings } from '../served-models.ts';
import { help, readArguments } from './arguments.ts';
import { runModelCommand } from './commands.ts';
import { tuneTable } from './tune-table.ts';
import type { ModelWorld } from './world.ts';

export interface Terminal {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

/** Runs, prints, and answers the exit code. */
export async function modelsCommand(argv: readonly string[], env: NodeJS.ProcessEnv, { stdout, stderr }: Terminal = process): Promise<number> {
  const print = (line: string): void => void stdout.write(`${line}\n`);
  const quantises = argv[0] === 'quantise';
  if (argv.length === 0 || (!quantises && (argv.includes('--help') || argv.includes('-h')))) {
    stdout.write(help);
    return 0;
  }
  let close = async (): Promise<void> => {};
  try {
    const config = readConfig([], env);
    if (quantises) {
      await quantiseCommand(argv.slice(1), config.settings, { print, say: (line) => void stderr.write(`${line}\n`) });
      return 0;
    }
    const command = readArguments(argv);
    if (command.name === 'tune') await tune(config, command.models, print);
    else {
      const opened = await open(config, (end) => (close = end));
      await runModelCommand(opened, command, print);
    }
    return 0;
  } catch (cause) {
    const error = asSaccadeError(cause);
    const asked = error.code === 'bad_request' || error.code === 'invalid_config';
    stderr.write(`${error.detail || error.message}\n${asked ? 'See npm run saccade -- models --help.\n' : ''}`);
    return asked ? 2 : error.code === 'log_unavailable' ? 3 : 1;
  } finally {
    await close();
  }
}

async function withEngine<T>(config: Config, thorough: boolean, work: (engine: Engine) => Promise<T>): Promise<T> {
  const settings = engineSettings(config);
  const engine = createEngine({ ...settings, ...(thorough ? { thorough } : { maxBatch: 1 }), workers: 1, clock: systemClock });
  try {
    return await work(engine);
  } finally {
    await engine.close();
  }
}

/** One model at a time, in one worker: they would measure each other. */
async function tune(config: Config, wanted: readonly string[], print: (line: string) => void): Promise<void> {
  const { SACCADE_MODELS, SACCADE_MODELS_DIR } = config.settings;
  const repository = openRepository(SACCADE_MODELS_DIR);
  for (const text of wanted.length > 0 ? wanted : SACCADE_MODELS) {
    const model = await repository.load(parseModelChoice(text));
    await withEngine(config, true, async (engine) => {
      await engine.load(model);
      const { provider, policy, folding } = engine.about(model);
      const asFile = folding.done.length > 0 ? await rowAsFile(config, model) : null;
      print(`${tuneTable(keyOf(model), provider, policy, asFile === null ? null : { ms: asFile, done: folding.done })}\n`);
    });
  }
}

/** Milliseconds a row of the graph as its file has it. */
const rowAsFile = (config: Config, model: Model): Promise<number> =>
  withEngine({ ...config, settings: { ...config.settings, SACCADE_INFER_FOLD: false } }, false, async (engine) => {
    await engine.load(model);
    return engine.about(model).policy.measured[0]!.ms;
  });

/** Begins the names of commands among those that follow the topic: a process that serves is waited for, another command is not. */
const commandReader = 'command-';

/** Throws log_unavailable when there is no log that another process can reach. */
async function open(config: Config, closing: (close: () => Promise<void>) => void): Promise<ModelWorld> {
  const { settings: s } = config;
  const { log, admin, close } = openRunningLog(s, 'saccade-models', 'write to', 'steer its models');
  closing(close);
  const replication = { partitions: 1, replication: s.SACCADE_REPLICATION, minInSync: Math.min(2, s.SACCADE_REPLICATION), maxRecordBytes: 1024 * 1024 };
  await log.ensureTopics(topicSpecs([], replication).filter(({ name }) => name === modelsTopic));
  const producer = await log.producer();
  const prefix = tableGroups(modelsTopic);
  const reader = `${commandReader}${randomUUID()}`;
  const topic = await followModelsTopic({ log, producer, clock: systemClock, reader, say: () => {}, changed: () => {} });
  closing(async () => {
    await Promise.all([topic.close(), producer.close()]);
    await close();
  });
  const repository = openRepository(s.SACCADE_MODELS_DIR);
  return {
    read: (name, version) => repository.load({ name, version: version ?? chosenBy(s.SACCADE_MODELS, name) }),
    names: () => repository.names(),
    versions: (name) => repository.versions(name),
    topics: () => admin.topics(),
    control: (name) => topic.control(name),
    write: (name, control) => topic.write(name, control),
    written: () => topic.names(),
    async processes() {
      const live = [...(await admin.liveGroups(prefix)).keys()].map((group) => group.slice(prefix.length)).filter((one) => !one.startsWith(commandReader));
      await topic.caughtUp();
      const reports = topic.reports();
      return new Map(live.map((one) => [one, reports.get(one) ?? null]));
    },
    async forgetDead() {
      // Reports first: whoever made one of these was alive by then.
      const readers = [...topic.reports().keys()];
      const live = await admin.liveGroups(prefix);
      for (const one of readers) if (!live.has(`${prefix}${one}`)) await topic.report(one, null);
    },
    async makeTopics(name) {
      // As many partitions as frames has, which may have been given more than the settings say.
      const partitions = (await log.endOffsets('frames').catch(() => [])).length || s.SACCADE_PARTITIONS;
      const wanted = new Set([tensorTopic(name), deadLetterTopic(tensorTopic(name))]);
      const specs = topicSpecs([name], { ...topicDefaults(s), partitions });
      await log.ensureTopics(specs.filter((spec) => wanted.has(spec.name)));
    },
    ends: async (of) => new Map((await log.endOffsets(of)).map(({ partition, offset }) => [partition, offset])),
    async left(of, below) {
      const left = groupsReading(of).map(async (group): Promise<[string, number]> => {
        const partitions = await unfinished(log, group, of);
        return [group, partitions.reduce((sum, { partition, from }) => sum + Math.max(0, (below.get(partition) ?? 0) - from), 0)];
      });
      return new Map(await Promise.all(left));
    },
    runs: async (group) => (await admin.liveGroups(group)).has(group),
    clock: systemClock,
    tryOut: (model) => tryOut(config, repository, model),
    folds: async ({ path, card: { input, head } }) => (s.SACCADE_INFER_FOLD && !head ? (foldGraph(await readFile(path), input.name, input)?.done ?? []) : []),
    fits,
  };
}

const chosenBy = (models: readonly string[], name: string): string | null =>
  models.map(parseModelChoice).find((choice) => choice.name === name)?.version ?? null;

const tryOut = (config: Config, repository: Repository, model: Model): Promise<void> =>
  withEngine(config, false, async (engine) => {
    await engine.load(model);
    await checkModel(repository, engine, model);
  });

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.stdout.on('error', () => process.exit(0));
  process.exitCode = await modelsCommand(process.argv.slice(2), process.env);
}
