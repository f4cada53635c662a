/**
 * What makes bytes a frame: the checks and the identity, for ingest and for the edge alike, so that a frame is accepted
 * by the same rules whichever door it came through.
 */
import { SaccadeError } from '../../connectors/errors.ts';
import type { BlobStore } from '../../connectors/ports.ts';
import { sniffImage } from '../../schemas/image-type.ts';
import { pictureDigest } from '../../schemas/picture-digest.ts';
import type { Frame, ReplyTo } from '../../schemas/records.ts';

export interface AcceptRules {
  readonly maxImageBytes: number;
  /** An image above this many bytes travels as a claim check. */
  readonly claimCheckBytes: number;
  /** Those that may be asked for, read anew for each frame: models come and go. A frame that names none is for all of them. */
  readonly models: readonly string[];
  /** Since when a model is being unloaded; null: it is not. Absent: none ever is. */
  readonly leaving?: (model: string) => number | null;
  readonly blobs: BlobStore;
}

export interface Offered {
  readonly id: string;
  readonly tenant: string;
  readonly source: string;
  readonly sequence: number | null;
  readonly capturedAt: number;
  readonly acceptedAt: number;
  /** When it came into the log, where it lies there already: what came before a model began to be unloaded is still answered by it. */
  readonly loggedAt?: number;
  readonly image: Buffer;
  readonly models: readonly string[] | null;
  readonly deadline: number | null;
  readonly reply: ReplyTo | null;
}

/** A frame that names more is refused, so that one record cannot demand a thousand outcomes. */
export const maxModelsAsked = 32;

/** Throws unknown_model, model_unloading when no frame that comes now may ask for the model. */
export function checkModel(model: string, { models, leaving }: Pick<AcceptRules, 'models' | 'leaving'>, loggedAt = Infinity): void {
  if (models.includes(model)) return;
  const since = leaving?.(model) ?? null;
  if (since !== null && loggedAt <= since) return;
  throw new SaccadeError(since === null ? 'unknown_model' : 'model_unloading', `'${model.slice(0, 80)}' (served: ${models.join(', ')}).`);
}

/** The model that is asked: the one named, else the first. Throws unknown_model where none is named and none may be asked for. */
export function meantModel(named: string | undefined, { models }: Pick<AcceptRules, 'models'>): string {
  const model = named || models[0];
  if (model === undefined) throw new SaccadeError('unknown_model', 'None may be asked for at present.');
  return model;
}

/** Throws invalid_field, payload_empty, payload_too_large, unsupported_media_type, unknown_model, model_unloading, blobs_unavailable. */
export async function accept(offered: Offered, rules: AcceptRules): Promise<Frame> {
  const { image } = offered;
  if (image.length === 0) throw new SaccadeError('payload_empty');
  if (image.length > rules.maxImageBytes) {
    throw new SaccadeError('payload_too_large', `${image.length} bytes; the limit is ${rules.maxImageBytes}.`);
  }
  const contentType = sniffImage(image);
  if (!contentType) throw new SaccadeError('unsupported_media_type', `It begins with ${image.subarray(0, 8).toString('hex')}.`);
  if ((offered.models?.length ?? 0) > maxModelsAsked) {
    throw new SaccadeError('invalid_field', `${offered.models?.length} models are named; at most ${maxModelsAsked} are allowed.`);
  }
  const models = [...new Set(offered.models && offered.models.length > 0 ? offered.models : rules.models)];
  // A frame for nobody would be accepted and never have an outcome.
  meantModel(models[0], rules);
  for (const model of models) checkModel(model, rules, offered.loggedAt);
  // The blob is written before the record that names it. Its bytes are in its name: an id that comes again with another picture
  // must not change the one that an earlier record names.
  const claim = image.length > rules.claimCheckBytes ? await rules.blobs.put(`${offered.id}.${(await pictureDigest(image)).toString('hex', 0, 16)}`, image) : null;
  return {
    id: offered.id,
    tenant: offered.tenant,
    source: offered.source,
    sequence: offered.sequence,
    captured_at: offered.capturedAt,
    accepted_at: offered.acceptedAt,
    content_type: contentType,
    size: image.length,
    image: claim === null ? image : null,
    claim,
    models,
    deadline: offered.deadline,
    reply: offered.reply,
  };
}
