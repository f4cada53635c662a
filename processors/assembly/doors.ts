/** Where clients come in: the live feed and the edge on the process's HTTP server. */
import type { Masker, Store } from '../../connectors/ports.ts';
import { leasesTopic } from '../../schemas/topics.ts';
import { createEdge, type Edge } from '../edge/edge.ts';
import { type EdgeConfig, edgeConfig } from '../edge/config.ts';
import type { HttpServer } from '../edge/server.ts';
import { startLive } from '../live/live.ts';
import { followTable } from '../runtime/control-table.ts';
import { stagesToWatch } from '../topology.ts';
import { openKeyMemory, openStore } from '../connect.ts';
import type { Settings } from '../settings.ts';
import type { Access } from './access.ts';
import type { Foundation } from './foundation.ts';
import { asFused } from './fused-stages.ts';
import type { Inference } from './inference.ts';
import type { Intake } from './intake.ts';
import type { Kept } from './keep.ts';

const mib = 1024 * 1024;

/** Null where this process has no edge. */
export async function openDoors(base: Foundation, server: HttpServer, intake: Intake, { served, current, known }: Inference, masker: Masker, kept: Kept, { vigil, ledger }: Pick<Access, 'vigil' | 'ledger'>, able: (model: string) => boolean, fused: (stage: string) => boolean): Promise<Edge | null> {
  const { settings: s, log, producer, registry, rules, blobs, clock, models, repository, startedAt, logger, metrics, ending, wants } = base;
  if (!wants('edge')) return null;
  const names = (): string[] => models.all().map(({ card }) => card.name);
  const apart = (stage: string): boolean => served !== null && stage.startsWith('infer.') && !fused(stage);
  const groups = () => asFused(stagesToWatch(names(), [...s.SACCADE_TENANT_TOPICS.keys()]), s.SACCADE_FUSE ?? [], apart);
  const live = await startLive({ log, registry, clock, groups, blobs, masker, logger: logger.child({ stage: 'live' }) });
  ending.add('live', () => live.close());
  const keys = await openKeyMemory(s, logger.child({ component: 'idempotency keys' }));
  ending.add('idempotency keys', async () => void (await Promise.all(keys.map((cache) => cache.close()))));
  return createEdge({
    server,
    log,
    producer,
    registry,
    rules,
    clock,
    config: edgeConfigOf(s),
    logger: logger.child({ stage: 'edge' }),
    metrics,
    live,
    kept,
    store: openReadingStore(base),
    catalog: { served: () => models.offered().flatMap((name) => models.find(name) ?? []).map(current), leaving: (name) => models.leaving(name) !== null, versions: repository.versions, card: (name, version) => repository.card({ name, version }) },
    startedAt,
    vigil,
    ledger,
    quota: intake.admission.quota,
    keys,
    known: known ?? undefined,
    refusal: intake.refusalOfRequests,
    able,
    leases: () => followTable({ log, producer, clock, topic: leasesTopic }),
  });
}

export const edgeConfigOf = (s: Settings): EdgeConfig => edgeConfig.parse({
  requestTimeoutMs: s.SACCADE_REQUEST_TIMEOUT_MS,
  targetMs: s.SACCADE_ANSWER_TARGET_MS,
  maxWaiting: s.SACCADE_EDGE_WAITING,
  maxAwaited: s.SACCADE_EDGE_AWAITED,
  maxUploadBytes: s.SACCADE_EDGE_UPLOAD_MB * mib,
  maxBatchBytes: s.SACCADE_EDGE_BATCH_MB * mib,
  keysMs: s.SACCADE_IDEMPOTENCY_HOURS * 3_600_000,
  stream: { liveMs: s.SACCADE_LIVE_DEADLINE_MS, maxSockets: s.SACCADE_EDGE_SOCKETS, maxSocketsEach: s.SACCADE_EDGE_SOCKETS_EACH, frameBytes: Math.min(s.SACCADE_EDGE_FRAME_KB * 1024, s.SACCADE_MAX_IMAGE_BYTES), totalBytes: s.SACCADE_EDGE_FRAMES_MB * mib },
});

/** Connections of its own: what clients ask must not wait behind an insert, nor an insert behind them. Null: there is no store. */
function openReadingStore({ stack, settings: s, ending }: Foundation): Store | null {
  if (!stack.clickhouse) return null;
  const store = openStore(stack, s);
  ending.add('store of the edge', () => store.close());
  return store;
}
