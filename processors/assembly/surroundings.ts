/** What runs beside the chain: the upkeep of the store, the expiry of blobs, cameras, and the note that others join by. */
import { hostname } from 'node:os';
import type { Store } from '../../connectors/ports.ts';
import { readRunFile, removeRunFile, type RunFile, writeRunFile } from '../../deploy/local/run-file.ts';
import { blobAgeMs, expireBlobs } from '../blob-expiry.ts';
import { startCameras } from '../camera/start-cameras.ts';
import { patiently } from '../runtime/patience.ts';
import { keepStore } from '../sink/upkeep.ts';
import type { Foundation } from './foundation.ts';
import type { Intake } from './intake.ts';
import { retentionOf } from './retention.ts';

export async function keepUp(base: Foundation, store: Store): Promise<void> {
  const { settings: s, clock, logger, ending, say } = base;
  const options = { store, clock, retention: retentionOf(s), builder: `${hostname()}:${process.pid}`, log: logger.child({ component: 'rollups' }) };
  const upkeep = await patiently(() => keepStore(options), { clock, say });
  ending.add('upkeep of the store', () => upkeep.close());
}

/** The first process owns run.json, and with it the expiry of blobs; those that join it must not take its place. */
export function ownTheFolder(base: Foundation, url: string): void {
  const { data, settings: s, startedAt, stack, clock, blobs, topicsOf, logger, ending, wants } = base;
  if (readRunFile(data)) return;
  const { kafka, registry, clickhouse, children } = stack;
  const edge = wants('edge');
  const own: RunFile = { pid: process.pid, startedAt: new Date(startedAt).toISOString(), edge: edge ? { url } : null, ops: edge ? null : { url }, kafka, registry, clickhouse, children, fused: (s.SACCADE_FUSE ?? []).map((pair) => pair.join('+')) };
  writeRunFile(data, own);
  ending.add('run file', () => removeRunFile(data));
  const closing = new AbortController();
  const expiring = expireBlobs({ clock, blobs, ageMs: blobAgeMs(topicsOf([])), signal: closing.signal, log: logger.child({ component: 'blobs' }) });
  ending.add('blob expiry', () => (closing.abort(), expiring));
}

export function openCameras(base: Foundation, { refusal }: Intake): void {
  const { config, settings: s, sources, producer, clock, metrics, logger, ending, say } = base;
  const cameras = startCameras({
    specs: sources,
    producer,
    clock,
    log: logger.child({ stage: 'camera' }),
    metrics,
    fps: config.given.has('SACCADE_FPS') ? s.SACCADE_FPS : undefined,
    loop: s.SACCADE_LOOP,
    liveDeadlineMs: s.SACCADE_LIVE_DEADLINE_MS,
    refusal,
  });
  ending.add('cameras', () => cameras.stop());
  if (cameras.names.length > 0) say(`cameras     ${cameras.names.join(', ')}`);
}
