/** Frames at a set rate, whatever the pipeline is going through. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SchemaRegistry } from '../../../connectors/ports.ts';
import { seededRandom } from '../../simulation/world/random.ts';
import { maxImageBytes, models, type World } from '../world/world.ts';
import { cameras } from './cameras.ts';
import { clients } from './clients.ts';
import { compressingProducer } from './compressing-producer.ts';
import { frameDraw } from './draw.ts';
import { kinds } from './kinds.ts';
import type { Ledger } from './ledger.ts';
import { preparePictures } from './pictures.ts';

const sources = [...Array(6).keys()].flatMap((n) => [`live-${n}`, `archive-${n}`]);

export interface LoadOptions {
  readonly world: World;
  readonly ledger: Ledger;
  readonly seed: number;
  /** Frames a second. */
  readonly rate: number;
  readonly signal: AbortSignal;
}

/** Offers until the signal; resolves when every offer has an answer, or has been given up. */
export async function offerLoad({ world, ledger, seed, rate, signal }: LoadOptions): Promise<void> {
  const producer = await world.log.producer();
  const pictures = await preparePictures();
  const validAvro = await exampleOf(world.registry);
  const draw = frameDraw({ random: seededRandom(seed), pictures, models, sources, maxImageBytes, validAvro });
  const compressing = await compressingProducer(world.broker.address);
  const byKafka = cameras({ producer, sendCompressed: compressing.send, registry: world.registry, ledger });
  const byHttp = clients({ url: world.edgeUrl, ledger });
  const startedAt = performance.now();
  for (let n = 0; !signal.aborted; n++) {
    const drawn = await draw();
    if (kinds[drawn.kind].via === 'http') byHttp.offer(drawn);
    else await byKafka.offer(drawn);
    await sleep(Math.max(0, startedAt + ((n + 1) * 1000) / rate - performance.now()), undefined, { signal }).catch(() => {});
  }
  await Promise.all([byKafka.idle(), byHttp.idle()]);
  await compressing.close();
}

const exampleOf = (registry: SchemaRegistry): Promise<Buffer> =>
  registry.encode('frames.in', { image: Buffer.alloc(5_000, 1), id: 'example', sequence: null, captured_at: null, models: null, deadline: null });
