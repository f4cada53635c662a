/** The process: reads the configuration, runs the stages asked for on the connectors that connect.ts picks, and stops them in order. */
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import type { Logger } from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { SaccadeError } from '../connectors/errors.ts';
import { answerCache } from '../connectors/cache/answers.ts';
import { cacheMetrics } from '../connectors/cache/metrics.ts';
import { openRepository } from '../connectors/models/repository.ts';
import { createLogger } from '../connectors/telemetry/logging.ts';
import { startSpanExport } from '../connectors/telemetry/spans.ts';
import { readRunFile, removeRunFile, type RunFile, writeRunFile } from '../deploy/local/run-file.ts';
import { endWithParent } from '../deploy/local/watchdog.ts';
import type { Model } from '../schemas/model-card.ts';
import { recordLimitBytes, recordOverheadBytes, topicSpecs } from '../schemas/topics.ts';
import { createAdmission } from './admission.ts';
import { announce } from './announce.ts';
import { blobAgeMs, expireBlobs } from './blob-expiry.ts';
import { parseSources } from './camera/source-spec.ts';
import { startCameras } from './camera/start-cameras.ts';
import { type Config, helpText, readConfig } from './config.ts';
import { connect, openBlobs, openCache, openJournal, openLog, openRegistry, openStore } from './connect.ts';
import { createEdge } from './edge/edge.ts';
import { edgeConfig } from './edge/config.ts';
import { httpServer } from './edge/server.ts';
import { inferStage } from './infer/infer.ts';
import type { AcceptRules } from './ingest/accept.ts';
import { ingestConfig } from './ingest/config.ts';
import { ingestStage } from './ingest/ingest.ts';
import { nearRetention } from './ingest/near-retention.ts';
import { camerasOf, portOf, takePlace } from './joining.ts';
import { runtimeLimits } from './limits.ts';
import { startLive } from './live/live.ts';
import { followChosenModels } from './models-topic.ts';
import { preprocessConfig } from './preprocess/config.ts';
import { preprocessStage } from './preprocess/preprocess.ts';
import { checkFolder, checkPort } from './preflight.ts';
import { systemClock } from './runtime/clock.ts';
import { runtimeMetrics } from './runtime/metrics.ts';
import { openProducer } from './runtime/open-producer.ts';
import { patiently } from './runtime/patience.ts';
import { createPipeline } from './runtime/pipeline.ts';
import { type Shutdown, shutdown } from './runtime/shutdown.ts';
import { engineSettings, openServedModels, readModels } from './served-models.ts';
import { sinkConfig } from './sink/config.ts';
import { sinkStage } from './sink/sink.ts';
import { keepStore } from './sink/upkeep.ts';
import { type StageFamily, stagesToWatch, topology } from './topology.ts';

const stopLimitMs = 10_000;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Starts everything; what has to be undone at the end is added to `ending` as it comes up. */
async function start(config: Config, logger: Logger, ending: Shutdown, end: End): Promise<void> {
  const s = config.settings;
  const clock = systemClock;
  const startedAt = clock.now();
  const data = resolve(s.SACCADE_DATA);

  const repository = openRepository(s.SACCADE_MODELS_DIR);
  const models = await readModels(repository, s);
  const names = models.map((model) => model.card.name);
  const place = await takePlace(config, data, say);
  ending.add('data folder', () => place.release());
  const sources = parseSources(camerasOf(config, place.running));
  const port = portOf(config, place.running);
  const spans = await startSpanExport(process.env);
  if (spans) ending.add('span export', () => spans.stop());

  // Not of a whole pipeline that connect is about to refuse: of those two, the one that runs already is the better reason.
  if (!place.running || config.given.has('SACCADE_STAGES')) await checkPort(s.HOST, port);
  const stack = await connect(config, data, place, say);
  ending.add('local servers', () => stack.stop());
  void stack.failed.then((error) => end(error.message, 1));
  const wants = (stage: StageFamily) => s.SACCADE_STAGES.includes(stage);

  const log = openLog(config, stack, logger.child({ component: 'kafka' }));
  ending.add('log', () => log.close());
  const registry = openRegistry(config, stack);
  const topics = topicSpecs(names, {
    partitions: s.SACCADE_PARTITIONS,
    replication: s.SACCADE_REPLICATION,
    minInSync: Math.min(2, s.SACCADE_REPLICATION),
    maxRecordBytes: recordLimitBytes,
  });
  const patience = { clock, say };
  await Promise.all([patiently(() => log.ensureTopics(topics), patience), patiently(() => registry.prepare(topics), patience)]);
  const producer = await patiently(() => openProducer({ log, clock, logger: logger.child({ component: 'producer' }) }), patience);
  ending.add('producer', () => producer.close());

  const metricsRegistry = new Registry();
  collectDefaultMetrics({ register: metricsRegistry });
  const metrics = runtimeMetrics(metricsRegistry);
  const blobs = openBlobs(s, data);
  const rules: AcceptRules = { maxImageBytes: s.SACCADE_MAX_IMAGE_BYTES, claimCheckBytes: s.SACCADE_CLAIM_CHECK_BYTES, models: names, blobs };

  const { SACCADE_QUOTA_FPS: framesPerSecond, SACCADE_QUOTA_BURST: burst } = s;
  const admission = createAdmission({
    log,
    producer,
    clock,
    models: names,
    rules: framesPerSecond === 0 ? null : { framesPerSecond, burst, calmMs: ingestConfig.parse({}).calmMs },
    told: (source, lane) => logger.info({ stage: 'ingest', source, lane }, lane === 'frames' ? 'the source keeps to its quota again' : 'the source is above its quota'),
  });
  ending.add('admission', () => admission.close());
  const acceptance = nearRetention({
    log,
    clock,
    groups: stagesToWatch(names).map((watched) => ({ ...watched, retentionMs: topics.find(({ name }) => name === watched.topic)!.retentionMs })),
  });
  const watching = new AbortController();

  // Listens before the stages are up, so that /health answers and /ready says what is still missing.
  const troubles = (): Record<string, string> => ({ ...pipeline.troubles(), ...edge?.troubles(), ...engineTrouble() });
  const degraded = (): Record<string, string> => served?.degraded() ?? {};
  const server = httpServer({
    metrics: metricsRegistry,
    troubles,
    degraded,
    stuck: () => pipeline.stuck(),
    startedAt,
    maxBodyBytes: s.SACCADE_MAX_IMAGE_BYTES + recordOverheadBytes,
    logger: logger.child({ stage: 'edge' }),
  });

  const told = (stage: string) => (message: string) => logger.info({ stage }, message);
  const store = wants('sink') ? openStore(stack, s.CLICKHOUSE_DATABASE) : null;
  if (store) ending.add('store', () => store.close());
  const steering = { repository, settings: s, log, producer, clock };
  const opening = wants('infer') ? openServedModels({ ...steering, engine: engineSettings(config), metrics: metricsRegistry, say: told('infer') }) : null;
  // Before it is open: leaving while models load would abort the process.
  if (opening) ending.add('engine', async () => (await opening).close());
  const served = await opening;
  const engineTrouble = (): Record<string, string> => {
    const trouble = served?.engine.trouble();
    return trouble ? { engine: trouble } : {};
  };

  const { cache, said: cacheSaid } = await openCache(s, logger.child({ component: 'cache' }));
  if (cache) ending.add('cache', () => cache.close());
  const answers = cache && answerCache({ cache, ttlMs: s.SACCADE_CACHE_TTL_S * 1000, metrics: cacheMetrics(metricsRegistry) });
  const cacheRules = answers && { answers, live: s.SACCADE_CACHE === 'all', except: s.SACCADE_CACHE_EXCEPT };

  const chosen = answers && !served && wants('preprocess') ? await followChosenModels({ ...steering, say: told('preprocess') }) : null;
  if (chosen) ending.add('models topic', () => chosen.close());
  const current = (model: Model): Model => served?.serving(model.card.name).current().model ?? chosen?.current(model) ?? model;

  const steps = topology(s.SACCADE_STAGES, models, {
    ingest: () => ingestStage({ rules, tenant: s.SACCADE_TENANT, lanes: admission.lanes }),
    preprocess: () => preprocessStage({ models, blobs, limits: preprocessConfig.parse({ maxPixels: s.SACCADE_MAX_PIXELS }), clock, cache: cacheRules, current }),
    overflow: () => admission.overflow,
    infer: () => (model) => inferStage({ serving: served!.serving(model.card.name), engine: served!.engine, clock, answers }),
    sink: () => sinkStage({ store: { ...store!, migrate: () => patiently(() => store!.migrate(), patience) }, batch: sinkConfig.parse({}) }),
  });
  const journal = openJournal(log, data, logger.child({ component: 'journal' }));
  // After the pipeline has stopped: what it could not finish in time killed nobody.
  if (journal) ending.add('journal', () => journal.close());
  const pipeline = createPipeline({
    steps,
    fuse: s.SACCADE_FUSE ?? [],
    log,
    producer,
    registry,
    clock,
    metrics,
    logger: (stage) => logger.child({ stage }),
    blobs,
    journal,
    announce: say,
    limits: runtimeLimits(s),
  });
  ending.add('pipeline', () => {
    admission.release();
    return pipeline.stop(stopLimitMs / 2);
  });
  void acceptance.watch(watching.signal);
  ending.add('retention watch', () => watching.abort());

  const live = wants('edge')
    ? await startLive({ log, registry, clock, groups: stagesToWatch(names), blobs, logger: logger.child({ stage: 'live' }) })
    : null;
  if (live) ending.add('live', () => live.close());
  const edge = live
    ? await createEdge({
        server,
        log,
        producer,
        registry,
        rules,
        tenant: s.SACCADE_TENANT,
        clock,
        config: edgeConfig.parse({ requestTimeoutMs: s.SACCADE_REQUEST_TIMEOUT_MS }),
        logger: logger.child({ stage: 'edge' }),
        metrics: metricsRegistry,
        live,
        quota: admission.quota,
        refusal: () => (producer.held('frames') ? 'Partitions are being added; frames are taken again in a moment.' : acceptance.refusal()),
      })
    : null;
  ending.add('http', () => server.close());
  // Ends before everything else: the answers it waits for need the pipeline, and the server to go out by.
  if (edge) ending.add('edge', () => edge.close());
  const url = await server.listen(s.HOST, port);
  await Promise.all([pipeline.start(), edge?.open()]);
  if (store) {
    const retention = { rows: s.SACCADE_KEEP_DAYS, embeddings: s.SACCADE_KEEP_EMBEDDINGS_DAYS, rollups: s.SACCADE_KEEP_ROLLUPS_DAYS };
    const upkeep = await keepStore({ store, clock, retention, builder: `${hostname()}:${process.pid}`, log: logger.child({ component: 'rollups' }) });
    ending.add('upkeep of the store', () => upkeep.close());
  }

  const own: RunFile = {
    pid: process.pid,
    startedAt: new Date(startedAt).toISOString(),
    edge: edge ? { url } : null,
    ops: edge ? null : { url },
    kafka: stack.kafka,
    registry: stack.registry,
    clickhouse: stack.clickhouse,
    children: stack.children,
  };
  // The first process owns the file; those that join it must not take its place.
  if (!readRunFile(data)) {
    writeRunFile(data, own);
    ending.add('run file', () => removeRunFile(data));
    const closing = new AbortController();
    const expiring = expireBlobs({ clock, blobs, ageMs: blobAgeMs(), signal: closing.signal, log: logger.child({ component: 'blobs' }) });
    ending.add('blob expiry', () => (closing.abort(), expiring));
  }
  const cameras = startCameras({
    specs: sources,
    producer,
    clock,
    log: logger.child({ stage: 'camera' }),
    metrics: metricsRegistry,
    fps: config.given.has('SACCADE_FPS') ? s.SACCADE_FPS : undefined,
    loop: s.SACCADE_LOOP,
    liveDeadlineMs: s.SACCADE_LIVE_DEADLINE_MS,
    refusal: acceptance.refusal,
  });
  ending.add('cameras', () => cameras.stop());
  if (cameras.names.length > 0) say(`cameras     ${cameras.names.join(', ')}`);
  announce({ settings: s, models, served, steps, cache: cacheSaid, say });
  say(`ready after ${((clock.now() - startedAt) / 1000).toFixed(1)} s: ${url}${edge ? '' : ' (health and metrics)'}`);
}

type End = (why: string, code: number) => Promise<void>;

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
    await start(config, logger, ending, end);
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
