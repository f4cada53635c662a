/** What every part of a process stands on: its place on the data folder, the local servers, the log, the registry, the topics. */
import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import type { Logger } from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { SaccadeError } from '../../connectors/errors.ts';
import { type ModelChoice, parseModelChoice } from '../../connectors/models/model-choice.ts';
import { openRepository, type Repository } from '../../connectors/models/repository.ts';
import type { BlobStore, Clock, Log, SchemaRegistry } from '../../connectors/ports.ts';
import { startSpanExport } from '../../connectors/telemetry/spans.ts';
import type { Stack } from '../../deploy/local/stack.ts';
import { topicSpecs, type TopicSpec } from '../../schemas/topics.ts';
import { parseSources, type SourceSpec } from '../camera/source-spec.ts';
import type { Config } from '../config.ts';
import { connect, openBlobs, openLog, openRegistry } from '../connect.ts';
import type { AcceptRules } from '../ingest/accept.ts';
import { camerasOf, inVain, type Place, portOf, takePlace } from '../joining.ts';
import { checkPort } from '../preflight.ts';
import { systemClock } from '../runtime/clock.ts';
import { openProducer } from '../runtime/open-producer.ts';
import type { PausableProducer } from '../runtime/pausable-producer.ts';
import { patiently } from '../runtime/patience.ts';
import type { Shutdown } from '../runtime/shutdown.ts';
import { type LiveModels, openModelSet } from '../model-set.ts';
import { readModel, readModels } from '../served-models.ts';
import type { StageFamily } from '../topology.ts';
import { topicDefaults } from './topic-defaults.ts';

/** Ends the process in order, with the exit code given. */
export type End = (why: string, code: number) => Promise<void>;

export interface Foundation {
  readonly config: Config;
  readonly settings: Config['settings'];
  /** The data folder, absolute. */
  readonly data: string;
  readonly clock: Clock;
  readonly startedAt: number;
  readonly logger: Logger;
  /** What has to be undone at the end is added as it comes up. */
  readonly ending: Shutdown;
  readonly port: number;
  readonly stack: Stack;
  readonly log: Log;
  readonly registry: SchemaRegistry;
  /** Of this deployment, with those of these models. */
  topicsOf(models: readonly string[]): TopicSpec[];
  readonly producer: PausableProducer;
  readonly metrics: Registry;
  readonly blobs: BlobStore;
  readonly repository: Repository;
  /** Asked anew each time; served-models.ts knows which versions answer where they are inferred. */
  readonly models: LiveModels;
  readonly sources: readonly SourceSpec[];
  readonly rules: AcceptRules;
  wants(stage: StageFamily): boolean;
  /** A line for the terminal. */
  say(line: string): void;
}

export async function layFoundation(config: Config, { logger, ending, end, say }: Pick<Foundation, 'logger' | 'ending' | 'say'> & { readonly end: End }): Promise<Foundation> {
  const s = config.settings;
  const clock = systemClock;
  const startedAt = clock.now();
  const data = resolve(s.SACCADE_DATA);

  const repository = openRepository(s.SACCADE_MODELS_DIR);
  const read = await readModels(repository, s);
  const place: Place = await takePlace(config, data, say);
  ending.add('data folder', () => place.release());
  for (const line of inVain(config, place.running)) say(`!! ${line}`);
  const sources = parseSources(camerasOf(config, place.running));
  const port = portOf(config, place.running);
  const spans = await startSpanExport(process.env);
  if (spans) ending.add('span export', () => spans.stop());

  // Not of a whole pipeline that connect is about to refuse: of those two, the one that runs already is the better reason.
  if (!place.running || config.given.has('SACCADE_STAGES')) await checkPort(s.HOST, port);
  const stack = await connect(config, data, place, say);
  ending.add('local servers', () => stack.stop());
  void stack.failed.then((error) => end(error.message, 1));

  const log = openLog(config, stack, logger.child({ component: 'kafka' }));
  ending.add('log', () => log.close());
  const registry = openRegistry(config, stack);
  const topicsOf = (names: readonly string[]): TopicSpec[] => topicSpecs(names, topicDefaults(s), [...s.SACCADE_TENANT_TOPICS.keys()]);
  const patience = { clock, say };
  const prepare = async (names: readonly string[]): Promise<void> => {
    const topics = topicsOf(names);
    await Promise.all([patiently(() => log.ensureTopics(topics), patience), patiently(() => registry.prepare(topics), patience)]);
  };
  const named = read.map((model) => model.card.name);
  await prepare(named);
  const producer = await patiently(() => openProducer({ log, clock, logger: logger.child({ component: 'producer' }) }), patience);
  ending.add('producer', () => producer.close());
  const modelOptions = { load: (choice: ModelChoice) => readModel(repository, s, choice), chosen: s.SACCADE_MODELS, atStart: read, stages: s.SACCADE_STAGES, log, producer, clock, reader: randomUUID(), say: (message: string) => logger.info({ component: 'models' }, message) };
  const models = await patiently(() => openModelSet(modelOptions), patience);
  ending.add('models', () => models.close());
  if (models.all().length === 0) throw new SaccadeError('invalid_config', `Every model of SACCADE_MODELS (${s.SACCADE_MODELS.join(', ')}) was unloaded: load one with npm run saccade -- models load NAME, or name another.`);
  // Not refused: what was let in before is still to be answered.
  if (models.offered().length === 0) say(`!! no model may be asked for at present (${models.all().map(({ card }) => card.name).join(', ')}: on the way in or out): npm run saccade -- models load NAME`);
  for (const { name } of s.SACCADE_MODELS.map(parseModelChoice)) {
    if (models.control(name).state === 'gone') say(`!! ${name} of SACCADE_MODELS is not served: it was unloaded. To serve it: npm run saccade -- models load ${name}`);
  }
  const loaded = models.all().map((model) => model.card.name).filter((name) => !named.includes(name));
  if (loaded.length > 0) await prepare(loaded);

  const metrics = new Registry();
  collectDefaultMetrics({ register: metrics });
  const blobs = openBlobs(s, data);
  const rules: AcceptRules = { maxImageBytes: s.SACCADE_MAX_IMAGE_BYTES, claimCheckBytes: s.SACCADE_CLAIM_CHECK_BYTES, get models() { return models.offered(); }, leaving: models.leaving, blobs };
  const wants = (stage: StageFamily): boolean => s.SACCADE_STAGES.includes(stage);
  return { config, settings: s, data, clock, startedAt, logger, ending, port, stack, log, registry, topicsOf, producer, metrics, blobs, repository, models, sources, rules, wants, say };
}
