/** Which frame comes next, drawn from the seed: kind, source, models, bytes. */
import { randomBytes } from 'node:crypto';
import { recordLimitBytes } from '../../../schemas/topics.ts';
import type { Random } from '../../simulation/world/random.ts';
import { type FrameKind, kindNames, kinds } from './kinds.ts';
import type { Pictures } from './pictures.ts';

export interface Drawn {
  readonly key: string;
  readonly kind: FrameKind;
  readonly source: string;
  readonly models: readonly string[];
  readonly bytes: Buffer;
}

export interface DrawOptions {
  readonly random: Random;
  readonly pictures: Pictures;
  readonly models: readonly string[];
  readonly sources: readonly string[];
  readonly maxImageBytes: number;
  /** A valid FrameIn in the wire format, of which a part makes a record that names its schema and is none. */
  readonly validAvro: Buffer;
}

/** Every kind comes once within so many frames from the start, so that a short run has all of them. */
const showAllWithin = 120;

/** A picture above the size at which it travels as a claim check, 1 MiB. */
const padding = Array<string>(20).fill('.'.repeat(60_000));

export function frameDraw(options: DrawOptions): () => Promise<Drawn> {
  const { random, pictures, models, sources } = options;
  const first = new Map(kindNames.map((kind) => [random.below(showAllWithin), kind]));
  let n = 0;

  function kindOf(): FrameKind {
    const planned = first.get(n);
    if (planned) return planned;
    let at = random.next() * 1000;
    for (const kind of kindNames) {
      at -= kinds[kind].perMille;
      if (at < 0) return kind;
    }
    return 'plain';
  }

  async function bytesOf(kind: FrameKind, frame: number): Promise<Buffer> {
    const small = await pictures.picture(kind === 'same_picture' ? frame % 6 : frame + 6, kind === 'claim_checked' ? padding : []);
    switch (kind) {
      case 'noise':
      case 'request_noise':
        // No first byte of any image, nor of the wire format.
        return Buffer.concat([Buffer.from([7]), randomBytes(1000)]);
      case 'truncated':
        return small.subarray(0, Math.round(small.length * 0.4));
      case 'garbage_avro':
        return options.validAvro.subarray(0, 60);
      case 'oversize':
        return Buffer.concat([small, randomBytes(options.maxImageBytes)]);
      case 'compressed_oversize':
        return Buffer.concat([small, Buffer.alloc(recordLimitBytes + 200_000)]);
      case 'over_record_limit':
        return Buffer.concat([small, randomBytes(recordLimitBytes + 200_000)]);
      default:
        return small;
    }
  }

  return async () => {
    const kind = kindOf();
    const key = `${kind}-${n}`;
    const via = kinds[kind].via;
    const one = kind === 'one_model' || via === 'http';
    const frame = n;
    n += 1;
    return {
      key,
      kind,
      // What the edge accepts belongs to one source.
      source: via === 'http' ? 'http' : random.pick(sources),
      models: one ? [random.pick(models)] : models,
      bytes: await bytesOf(kind, frame),
    };
  };
}
