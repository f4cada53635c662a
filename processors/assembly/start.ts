/** A process, put together: each part in a file of its own here, in the order in which they come up and, backwards, end. */
import type { Logger } from 'pino';
import { announce } from '../announce.ts';
import type { Config } from '../config.ts';
import { openStore } from '../connect.ts';
import { ownReplies } from '../edge/own-replies.ts';
import { connectionLimits, httpServer } from '../edge/server.ts';
import type { Shutdown } from '../runtime/shutdown.ts';
import { ableModel } from './able-models.ts';
import { beginMetadata, openAccess } from './access.ts';
import { makeChain } from './chain.ts';
import { openDoors } from './doors.ts';
import { openDrift } from './drift.ts';
import { type End, layFoundation } from './foundation.ts';
import { openKept } from './keep.ts';
import { openInference } from './inference.ts';
import { followModels } from './follow-models.ts';
import { openMasker } from './masker.ts';
import { openIntake } from './intake.ts';
import { openSql } from './sql.ts';
import { keepUp, openCameras, ownTheFolder } from './surroundings.ts';

/** Starts everything; what has to be undone at the end is added to `ending` as it comes up. */
export async function start(config: Config, given: { readonly logger: Logger; readonly ending: Shutdown; readonly end: End; say(line: string): void }): Promise<void> {
  const metadata = beginMetadata(config, given);
  const base = await layFoundation(config, given);
  const { settings: s, logger, ending, clock, startedAt, say } = base;
  const intake = openIntake(base);
  const store = base.wants('sink') ? openStore(base.stack, s) : null;
  if (store) ending.add('store', () => store.close());
  const inference = await openInference(base);
  const masking = await openMasker(base, inference);
  const replies = ownReplies(base.producer);
  const kept = openKept(base, masking.masker);
  const chain = makeChain({ ...base, producer: replies.producer }, intake, inference, store, await openDrift(base), kept.stages);
  const { pipeline, steps } = chain;
  intake.watch();

  const ofStages = (): Record<string, string> => ({ ...pipeline.troubles(), ...inference.troubles() });
  const access = await openAccess({ ...base, faces: masking.faces }, metadata);
  const server = await httpServer({
    metrics: base.metrics,
    troubles: () => ({ ...ofStages(), ...edge?.troubles() }),
    degraded: () => ({ ...inference.degraded(), ...masking.degraded(), ...intake.degraded() }),
    waiting: () => pipeline.waiting(),
    unchecked: inference.unchecked,
    stuck: () => pipeline.stuck(),
    startedAt,
    logger: logger.child({ stage: 'edge' }),
    authenticate: access.authenticate,
    open: s.SACCADE_AUTH === 'open',
    // Health and metrics alone may be asked for by any name, from outside.
    loopback: s.SACCADE_AUTH === 'open' && base.wants('edge'),
    guard: access.guard,
    tls: access.tls,
    origins: s.SACCADE_CORS,
    trustedProxies: s.SACCADE_TRUSTED_PROXIES,
    limits: { ...connectionLimits, most: s.SACCADE_MAX_CONNECTIONS },
  });
  const edge = await openDoors(base, server, intake, inference, masking.masker, kept, access, (model) => ableModel(model, ofStages(), inference.served && inference.served.answering(model) !== null), pipeline.fused);
  if (edge) replies.deliverTo(edge);
  const sql = openSql(base, server, access);
  access.routes(server.app);
  ending.add('http', () => server.close());
  // Ends before everything else: the answers it waits for need the pipeline, and the server to go out by.
  if (edge) ending.add('edge', () => edge.close());
  // Listens before the stages are up, so that /health answers and /ready says what is still missing.
  const url = await server.listen(s.HOST, base.port);
  await sql.listen();
  await Promise.all([pipeline.start(), edge?.open()]);
  await followModels(base, inference, chain, edge);
  if (store) await keepUp(base, store);
  ownTheFolder(base, url);
  openCameras(base, intake);
  announce({ settings: s, models: base.models.all(), served: inference.served, degraded: inference.degraded(), steps, cache: inference.cacheSaid, faces: masking.said, say });
  access.announce();
  say(`ready after ${((clock.now() - startedAt) / 1000).toFixed(1)} s: ${url}${edge ? '' : ' (health and metrics)'}`);
}
