/** Frames that are kept to look at: who chooses, keeps and deletes them, and how the edge shows them. */
import type { BlobStore, Masker, Shown } from '../../connectors/ports.ts';
import { driftWindowsTopic } from '../../schemas/topics.ts';
import { openKeptBlobs, openStore } from '../connect.ts';
import { keepConfig } from '../keep/config.ts';
import { keepExamplesStage } from '../keep/examples.ts';
import { forgetPictures } from '../keep/forget.ts';
import { keepStage } from '../keep/keep.ts';
import { keeper } from '../keep/keeper.ts';
import { keptPictures, showable } from '../keep/kept-pictures.ts';
import { keepMetrics } from '../keep/metrics.ts';
import { pictureAt } from '../keep/picture-at.ts';
import { findPlaces } from '../keep/places.ts';
import { retainPictures } from '../keep/retain.ts';
import type { Stages } from '../topology.ts';
import type { Foundation } from './foundation.ts';
import { retentionOf } from './retention.ts';

export interface Kept {
  /** By the topic that each reads; none where this process keeps nothing. */
  readonly stages: Stages['keep'];
  /** A picture that is kept; null when it is not. */
  shown(tenant: string, frameId: string): Promise<Shown | null>;
  /** A picture that still lies in the log, where the store knows its place. */
  fromLog(tenant: string, frameId: string): Promise<Shown | null>;
}

const dayMs = 86_400_000;

const none: Kept = { stages: {}, shown: async () => null, fromLog: async () => null };

export function openKept(base: Foundation, masker: Masker): Kept {
  // Others have no business with the folder.
  if (!base.wants('keep') && !base.wants('edge')) return none;
  const { settings: s, data, log, registry, blobs: claims, clock, logger, metrics, ending, wants, stack } = base;
  const told = logger.child({ stage: 'keep' });
  const maxBytes = s.SACCADE_KEEP_FRAMES_MB * 1024 * 1024;
  const blobs: BlobStore = openKeptBlobs(s, data);
  const pictures = keptPictures({ blobs, masker });
  const at = pictureAt({ log, registry, claims });
  const store = stack.clickhouse ? openStore(stack, s) : null;
  if (store) ending.add('store of kept frames', () => store.close());
  const find = store && findPlaces((sql, params) => store.query(sql, params));

  function stages(): Stages['keep'] {
    if (!wants('keep') || maxBytes === 0) return {};
    const keep = keeper({ pictureAt: at, pictures, clock, metrics: keepMetrics(metrics) });
    const config = keepConfig.parse({ everyMs: s.SACCADE_KEEP_FRAMES_EVERY_S * 1000 });
    return {
      predictions: keepStage({ config, keep, log: told }),
      // Where an example lies, the store alone knows.
      ...(find ? { [driftWindowsTopic]: keepExamplesStage({ find, keep, clock, log: told }) } : {}),
    };
  }

  /** Deletes what is too old or too much, until the process ends. Of several that do, each file is one's. */
  function retain(): void {
    const closing = new AbortController();
    const { usual, tenants } = retentionOf(s).frames;
    const ageMs = (tenant: string): number => (tenants.get(tenant) ?? usual) * dayMs || Infinity;
    const retaining = retainPictures({ clock, blobs, ageMs, maxBytes, forget: store && forgetPictures(store), signal: closing.signal, log: told });
    ending.add('kept pictures', () => (closing.abort(), retaining));
  }

  if (wants('keep')) retain();
  return {
    stages: stages(),
    shown: (tenant, frameId) => pictures.get(tenant, frameId),
    async fromLog(tenant, frameId) {
      const found = (await find?.(tenant, null, [frameId]))?.get(frameId);
      const picture = found?.place ? await at({ frame_id: frameId, tenant, size: found.size, place: found.place }) : null;
      return picture && showable(masker, picture, tenant);
    },
  };
}
