/** Who offers frames: cameras into frames.in like any producer, apps through the edge's rules into `frames`, and strangers who write garbage. */
import { frameIdFromOrigin, frameIdFromProducer } from '../../../schemas/ids.ts';
import type { LogRecord, OutgoingRecord } from '../../../connectors/ports.ts';
import type { FrameIn } from '../../../schemas/records.ts';
import { accept } from '../../../processors/ingest/accept.ts';
import { cluster } from '../process/ports.ts';
import { epoch } from '../process/life.ts';
import { maxImageBytes, rulesWith, tenant } from '../process/node.ts';
import { models } from '../world/scenario.ts';
import { encodeValue } from '../world/wire.ts';
import type { World } from '../world/world.ts';
import { codeOf, isKiller, type Kind, kindNamed, kinds } from './kinds.ts';

interface Draft {
  readonly kind: Kind;
  readonly id: string | null;
  readonly models: readonly string[];
  readonly deadline: number | null;
  readonly image: Buffer;
}

export interface Producers {
  readonly done: boolean;
  start(): void;
}

/** No frame is offered twice with a different content, as no producer repeats an id for another picture. */
export function createProducers(world: World): Producers {
  const { scenario, random, time, broker, weather } = world;
  // Where the hop is skipped no tensor is written, and none can be too large for its topic.
  const hop = scenario.processes.every(({ fused }) => !fused);
  const possible = kinds.filter(({ name }) => hop || name !== 'tensor too large');
  let killersLeft = scenario.killers;
  let open = 0;

  function kindOf(allowed: readonly Kind[]): Kind {
    if (killersLeft > 0 && random.chance(0.2)) {
      killersLeft -= 1;
      return random.pick(allowed.filter(isKiller));
    }
    return random.chance(scenario.poison) ? random.pick(allowed.filter((kind) => !isKiller(kind))) : kindNamed('sound');
  }

  function draft(source: string, n: number, allowed: readonly Kind[]): Draft {
    const kind = kindOf(allowed);
    const size = kind.name === 'too large' ? maxImageBytes + 1 : 20 + random.below(random.pick([200, 1_000, maxImageBytes - 20]));
    const image = Buffer.alloc(kind.name === 'empty' ? 0 : size, codeOf(kind));
    if (kind.name !== 'not an image') Buffer.from([0xff, 0xd8, 0xff]).copy(image);
    return {
      kind,
      image,
      id: kind.name !== 'bad header' && random.chance(0.8) ? `${source}-${n}` : null,
      models: kind.name === 'unknown model' ? [models[0], 'nobody-serves-this'] : random.pick([models, models, [models[0]], [models[1]]]),
      deadline: random.chance(scenario.deadlines) ? Math.floor(epoch + time.now + random.between(-100, 8_000)) : null,
    };
  }

  function cameraRecord(source: string, { kind, image, id, models: asked, deadline }: Draft): OutgoingRecord {
    const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
    const avro = kind.name !== 'bad header' && kind.name !== 'no schema reads it' && kind.name !== 'empty' && random.chance(0.5);
    const frame: FrameIn = { image, id, sequence: null, captured_at: null, models: [...asked], deadline };
    const headers = {
      traceparent,
      models: asked.join(','),
      ...(id === null ? {} : { id }),
      ...(deadline === null ? {} : { deadline: `${deadline}` }),
      ...(kind.name === 'bad header' ? { sequence: 'seven' } : {}),
    };
    const torn = Buffer.concat([Buffer.from([0, 0, 0, 0, 1]), Buffer.alloc(30, 0xee)]);
    const plain = kind.name === 'no schema reads it' ? torn : kind.name === 'empty' && random.chance(0.5) ? null : image;
    return { topic: 'frames.in', key: source, value: avro ? encodeValue(frame) : plain, headers: avro ? { traceparent } : headers };
  }

  /** Written, or not, or written without an answer: then the producer tries again. */
  function persist(write: () => void, done: () => void): void {
    const { ending } = weather.fate('log');
    if (ending === 'fail-after' || ending === 'timeout') write();
    if (ending !== 'done') return void time.after(random.between(50, 1_000), () => persist(write, done));
    write();
    done();
  }

  function camera(source: string): void {
    const sent: (() => void)[] = [];
    let n = 0;
    every(source, (next) => {
      // A repeat comes from a producer with ids only; to one without, each record is a frame of its own.
      if (sent.length > 0 && random.chance(scenario.repeats)) return persist(random.pick(sent), next);
      const offered = draft(source, n++, possible);
      const record = cameraRecord(source, offered);
      const write = (): void => {
        const written = broker.append(record);
        world.facts.accepted(written, {
          frameId: offered.id === null ? frameIdFromOrigin({ ...written, cluster }) : frameIdFromProducer(tenant, source, offered.id),
          ...truthOf(source, offered),
        });
        world.note(source, `offers ${offered.id ?? 'a frame without id'} (${offered.kind.name}) at ${placeOf(written)}`);
      };
      // Each copy of a killer lies elsewhere, and is found by lives of its own.
      if (offered.id !== null && !isKiller(offered.kind)) sent.push(write);
      persist(write, next);
    });
  }

  function app(source: string): void {
    const allowed = possible.filter(({ at }) => at !== 'ingest');
    let n = 0;
    every(source, (next) => {
      const { image, ...offered } = { ...draft(source, n, allowed), id: `${source}-${n}` };
      n += 1;
      const id = frameIdFromProducer(tenant, source, offered.id);
      const reply = { request_id: `request-${offered.id}`, partition: random.below(scenario.partitions) };
      const at = Math.floor(epoch + time.now);
      const rules = rulesWith({ kind: 'memory', put: async (name, bytes) => (world.blobs.set(name, bytes), name), get: async () => image, expire: async () => 0, trim: async () => [] });
      void accept(
        { id, tenant, source, sequence: n, capturedAt: at, acceptedAt: at, image, models: offered.models, deadline: offered.deadline, reply },
        rules,
      ).then((frame) => {
        const record = { topic: 'frames', key: source, value: encodeValue(frame), headers: { traceparent: `00-${'3'.repeat(32)}-${'4'.repeat(16)}-01` } };
        world.facts.announce({ frameId: id, ...truthOf(source, { ...offered, image }), reply });
        persist(() => {
          world.note(source, `asks for ${offered.id} (${offered.kind.name}) at ${placeOf(broker.append(record))}`);
        }, next);
      });
    });
  }

  /** Bytes nobody can read, in topics that only we should write to. */
  function stranger(): void {
    let n = 0;
    every('a stranger', (next) => {
      const topic = random.pick(['frames', ...models.map((model) => `tensors.${model}`), 'predictions']);
      if (random.chance(scenario.poison)) {
        const written = broker.append({ topic, key: random.pick(scenario.cameras), value: Buffer.from(`garbage ${n++}`), headers: { traceparent: `00-${'5'.repeat(32)}-${'6'.repeat(16)}-01` } });
        world.note('a stranger', `writes garbage at ${placeOf(written)}`);
      }
      next();
    });
  }

  function every(source: string, offer: (next: () => void) => void): void {
    open += 1;
    const mean = scenario.offeredBy / scenario.framesPerSource;
    // Bursts: many at once, then a pause.
    const pause = (): number => (random.chance(0.7) ? random.between(0, 5) : random.between(0, 6 * mean));
    let left = scenario.framesPerSource;
    const next = (): void => {
      left -= 1;
      if (left < 0 || time.now > scenario.offeredBy) return void (open -= 1);
      time.after(pause(), () => offer(next));
    };
    world.note(source, 'begins');
    next();
  }

  return {
    get done() {
      return open === 0;
    },
    start() {
      scenario.cameras.forEach(camera);
      scenario.apps.forEach(app);
      stranger();
    },
  };
}

const truthOf = (source: string, { kind, models: asked, deadline }: Draft) => ({
  source,
  kind,
  // Of a record with a header that is wrong, no header counts: it is accounted for under every model.
  models: kind.name === 'bad header' ? models : asked,
  deadline,
  reply: null,
});

const placeOf = ({ topic, partition, offset }: LogRecord): string => `${topic}/${partition}@${offset}`;
