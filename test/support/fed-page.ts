/**
 * The page with a stream behind it that the caller writes: the in-process log, the real live part and the real routes,
 * without models. `node --import tsx test/support/fed-page.ts [PORT]` keeps it running with three made-up cameras, to work on the page.
 */
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import Fastify from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { SaccadeError } from '../../connectors/errors.ts';
import { memoryLog } from '../../connectors/memory/log.ts';
import type { Clock, LogProducer, Masker } from '../../connectors/ports.ts';
import { fileRegistry } from '../../connectors/registry/files.ts';
import { frameRoutes, type FramePictures } from '../../processors/edge/frames/frame-routes.ts';
import { liveRoutes } from '../../processors/edge/live-routes.ts';
import { installPrincipals, noVigil, openMode } from '../../processors/edge/principal.ts';
import { installProblems } from '../../processors/edge/problem.ts';
import { imageOf, installUploads } from '../../processors/edge/upload.ts';
import { sniffImage } from '../../schemas/image-type.ts';
import { startLive, type Live } from '../../processors/live/live.ts';
import { stagesToWatch } from '../../processors/topology.ts';
import type { Drift } from '../../schemas/api/drift.ts';
import { predictionId } from '../../schemas/ids.ts';
import type { Detection, Frame, Label, Prediction } from '../../schemas/records.ts';
import { topicSpecs } from '../../schemas/topics.ts';
import { realClock } from './camera.ts';

export const MODELS = ['efficientnet-lite0', 'nanodet'];

export interface FedPage {
  readonly url: string;
  readonly live: Live;
  readonly producer: LogProducer;
  frame(frame: Partial<Frame> & Pick<Frame, 'id' | 'source'>): Promise<void>;
  prediction(prediction: Partial<Prediction> & Pick<Prediction, 'frame_id' | 'source' | 'model'>): Promise<void>;
  /** As if a stage had processed everything up to here. */
  commit(stage: string): Promise<void>;
  stop(): Promise<void>;
}

export const photo = (name: string): Buffer => readFileSync(new URL(`../../media/${name}.jpg`, import.meta.url));

/** What the models would say of coffee.jpg. */
function cannedAnswer(image: Buffer, model = '') {
  if (sniffImage(image) === null) throw new SaccadeError('unsupported_media_type', 'The bytes begin like no image that is known.');
  if (model === 'nanodet') return { id: 'a', model, version: '1', detections: [{ label: 'cup', score: 0.91, box: [160, 30, 470, 330] }] };
  if (model === 'efficientnet-lite0') return { id: 'a', model, version: '1', predictions: [{ label: 'espresso', score: 0.97 }, { label: 'cup', score: 0.02 }] };
  throw new SaccadeError('unknown_model', model);
}

/** What the store would say of drift, if there were one. */
let drift: Drift = { alerts: [], streams: [] };
export const tellDrift = (told: Drift): void => void (drift = told);

export async function fedPage({ port = 0, clock = realClock as Clock, masker, kept }: { port?: number; clock?: Clock; masker?: Masker; kept?: FramePictures } = {}): Promise<FedPage> {
  const log = memoryLog();
  const registry = fileRegistry();
  const specs = topicSpecs(MODELS, { partitions: 2, replication: 1, minInSync: 1, maxRecordBytes: 8 * 1024 * 1024 });
  await log.ensureTopics(specs);
  await registry.prepare(specs);
  const groups = stagesToWatch(MODELS);
  const live = await startLive({ log, registry, clock, groups: () => groups, ...(masker ? { masker } : {}) });
  const producer = await log.producer();
  const app = Fastify({ forceCloseConnections: true, bodyLimit: 8 * 1024 * 1024 });
  installProblems(app);
  installPrincipals(app, openMode('default'));
  liveRoutes(app, { live, vigil: noVigil });
  app.setValidatorCompiler(validatorCompiler as Parameters<typeof app.setValidatorCompiler>[0]);
  app.setSerializerCompiler(serializerCompiler as Parameters<typeof app.setSerializerCompiler>[0]);
  frameRoutes(app, { live, kept });
  await installUploads(app, 8 * 1024 * 1024);
  app.route<{ Querystring: { model?: string } }>({
    method: 'POST',
    url: '/v1/infer',
    handler: async (request) => cannedAnswer(await imageOf(request), request.query.model),
  });
  app.get('/v1/drift', () => drift);
  await app.listen({ port, host: '127.0.0.1' });

  return {
    url: `http://127.0.0.1:${(app.server.address() as { port: number }).port}`,
    live,
    producer,
    async frame({ source, ...rest }) {
      const image = rest.image ?? photo('coffee');
      const frame: Frame = {
        tenant: 'default', source, sequence: null, captured_at: clock.now(), accepted_at: clock.now(), content_type: 'image/jpeg',
        size: image.length, image, claim: null, models: MODELS, deadline: null, reply: null, ...rest,
      };
      await producer.send([{ topic: 'frames', key: source, value: await registry.encode('frames', frame) }]);
    },
    async prediction({ frame_id, source, model, ...rest }) {
      const prediction: Prediction = {
        id: predictionId(frame_id, model), frame_id, tenant: 'default', source, sequence: null, captured_at: clock.now() - 20,
        accepted_at: clock.now() - 19, completed_at: clock.now(), status: 'ok', stage: null, reason: null, detail: null, model, version: '1',
        fallback_for: null,
        task: model === 'nanodet' ? 'detection' : 'classification', image_width: 600, image_height: 400, labels: [], detections: [],
        embedding: null, quality: null, timings_ms: {}, request_id: null, cached: false, picture: null, ...rest,
      };
      await producer.send([{ topic: 'predictions', key: source, value: await registry.encode('predictions', prediction) }]);
    },
    async commit(stage) {
      const { group, topic } = groups.find((watched) => watched.stage === stage)!;
      // A member that takes nothing in: the stage's position is all the page looks at.
      const assigned: number[] = [];
      const consumer = await log.consumer({
        group, topics: [topic], from: 'earliest', maxBytes: 1, maxBytesPerPartition: 1,
        handlers: { assigned: (generation) => void assigned.push(generation), records: () => undefined },
      });
      await consumer.commit(assigned.at(-1)!, await log.endOffsets(topic));
      await consumer.close();
    },
    async stop() {
      await app.close();
      await live.close();
      await log.close();
    },
  };
}

interface Scene {
  readonly source: string;
  readonly image: Buffer;
  readonly size: readonly [number, number];
  readonly boxes: readonly (readonly [label: string, score: number, x1: number, y1: number, x2: number, y2: number])[];
  readonly labels: readonly (readonly [label: string, score: number])[];
}

const scenes: readonly Scene[] = [
  { source: 'front-gate', image: photo('astronaut'), size: [512, 512], boxes: [['person', 0.93, 14, 16, 362, 508]], labels: [['space suit', 0.58], ['space shuttle', 0.2], ['mask', 0.04], ['bulletproof vest', 0.02], ['flagpole', 0.01]] },
  { source: 'counter', image: photo('coffee'), size: [600, 400], boxes: [['cup', 0.91, 160, 30, 470, 330], ['spoon', 0.52, 360, 190, 520, 390], ['dining table', 0.41, 4, 4, 596, 396]], labels: [['espresso', 0.94], ['cup', 0.03], ['eggnog', 0.01], ['coffee mug', 0.01], ['soup bowl', 0.004]] },
  { source: 'sofa', image: photo('chelsea'), size: [451, 300], boxes: [['cat', 0.88, 60, 4, 440, 296]], labels: [['Egyptian cat', 0.51], ['tabby', 0.29], ['tiger cat', 0.11], ['lynx', 0.02], ['window screen', 0.01]] },
];

const wobble = (value: number, n: number, by: number): number => value + by * Math.sin(n / 5 + value);

/** Made-up answers about three photos until the signal, at about 10 frames a second each. */
export async function playScenes(page: FedPage, signal: AbortSignal, count = scenes.length): Promise<void> {
  for (let n = 0; !signal.aborted; n++) {
    for (const { source, image, size, boxes, labels } of scenes.slice(0, count)) {
      const id = `${source}-${n}`;
      const now = Date.now();
      const times = (ms: number) => ({ captured_at: now, completed_at: now + Math.round(ms), image_width: size[0], image_height: size[1], sequence: n });
      await page.producer.send([{ topic: 'frames.in', key: source, value: Buffer.from('x') }, ...MODELS.map((model) => ({ topic: `tensors.${model}`, key: source, value: Buffer.from('x') }))]);
      await page.frame({ id, source, image, sequence: n, captured_at: now });
      const detections = boxes.map(([label, score, ...box], class_id): Detection => {
        const [x1, y1, x2, y2] = box.map((v) => wobble(v, n, 3)) as [number, number, number, number];
        return { class_id, label, score: Math.min(0.99, wobble(score, n, 0.03)), x1, y1, x2, y2 };
      });
      const classes = labels.map(([label, score], class_id): Label => ({ class_id, label, score: Math.min(0.98, Math.max(0.001, wobble(score, n, score / 12))) }));
      await page.prediction({ frame_id: id, source, model: 'efficientnet-lite0', labels: classes, ...times(24 + Math.random() ** 3 * 60) });
      const ended = n % 37 === 5 ? ({ status: 'dropped', stage: 'infer.nanodet', reason: 'deadline' } as const) : n % 91 === 7 ? ({ status: 'dead_lettered', stage: 'preprocess', reason: 'undecodable_image' } as const) : null;
      await page.prediction({ frame_id: id, source, model: 'nanodet', detections: ended ? [] : detections, ...times(31 + Math.random() ** 3 * 90), ...ended });
    }
    const stages = stagesToWatch(MODELS).map(({ stage }) => stage).filter((stage) => stage !== 'infer.nanodet' || n % 20 < 14);
    if (n % 4 === 0) for (const stage of stages) await page.commit(stage);
    await realClock.sleep(100, signal);
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const page = await fedPage({ port: Number(process.argv[2] ?? 8090) });
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.stdout.write(`${page.url}\n`);
  await playScenes(page, stop.signal);
  await page.stop();
}
