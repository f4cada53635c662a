/** A model that is loaded and unloaded while requests, streams and records come in for it and for another: what was accepted is answered, once. */
import assert from 'node:assert/strict';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import type { Log, LogProducer, Store } from '../connectors/ports.ts';
import { modelsCommand } from '../processors/model-commands/main.ts';
import { asItIs, type ModelControl } from '../schemas/model-control.ts';
import { modelsTopic } from '../schemas/topics.ts';
import { needsKafka } from './support/components.ts';
import { modelsRoot } from './support/models.ts';
import { eventually } from './support/pipeline.ts';
import { count, logOf, runFileOf, type Saccade, startSaccade, storeOf } from './support/saccade.ts';
import { streamClient } from './support/stream-client.ts';

const A = 'efficientnet-lite0';
const B = 'ultraface';
const face = readFileSync('media/astronaut.jpg');

/** Copies versions of B into a repository, each as its card was edited. */
async function copies(root: string, versions: Record<string, (card: Record<string, unknown>) => Record<string, unknown>>, name = B): Promise<void> {
  for (const [version, edit] of Object.entries(versions)) {
    const folder = join(root, name, version);
    await mkdir(join(root, name), { recursive: true });
    await cp(join(modelsRoot, B, '1'), folder, { recursive: true });
    const card = JSON.parse(await readFile(join(folder, 'card.json'), 'utf8')) as Record<string, unknown>;
    await writeFile(join(folder, 'card.json'), JSON.stringify(edit({ ...card, name, version })));
  }
}
const asIs = (card: Record<string, unknown>) => card;
const torn = (card: Record<string, unknown>) => ({ ...card, sha256: '0'.repeat(64) });

interface Asked {
  readonly status: number;
  readonly code: string | null;
  readonly id: string | null;
  readonly version: string | null;
}

describe('a model that comes and goes', { skip: needsKafka }, () => {
  const data = mkdtempSync(join(tmpdir(), 'saccade-live-models-'));
  const here = join(data, 'models-of-the-command');
  const there = join(data, 'models-of-the-pipeline');
  let pipeline: Saccade;
  let edges: Saccade[] = [];
  let urls: string[] = [];
  let ops = '';
  let log: Log;
  let producer: LogProducer;
  let store: Store;
  let small: Buffer;

  const stages = ['--source', 'none', '--stages', 'ingest,preprocess,infer,sink'];
  // Of two pictures alike the second would be known.
  const env = { SACCADE_MODELS: A, SACCADE_CACHE: 'off', SACCADE_MODELS_DIR: there, SACCADE_REQUEST_TIMEOUT_MS: '60000' };
  async function startPipeline(): Promise<void> {
    pipeline = startSaccade(data, stages, env);
    ops = await pipeline.ready();
    edges = [here, there].map((folder) => startSaccade(data, ['--stages', 'edge'], { ...env, SACCADE_MODELS_DIR: folder }));
    urls = await Promise.all(edges.map((edge) => edge.ready()));
    log = logOf(runFileOf(data));
    producer = await log.producer();
    store = storeOf(runFileOf(data));
  }
  async function stopPipeline(): Promise<void> {
    await store?.close();
    await producer?.close();
    await log?.close();
    for (const edge of edges) if (edge.child.exitCode === null) await edge.interrupt();
    await pipeline?.interrupt();
  }

  before(async () => {
    small = await sharp('media/coffee.jpg').resize(224, 168).jpeg().toBuffer();
    for (const root of [here, there]) {
      await cp(join(modelsRoot, A), join(root, A), { recursive: true });
      await copies(root, { 1: asIs });
      await copies(root, { 1: torn }, 'torn');
    }
    // Sound where the command tries it, and where one edge runs; not where the stages do.
    await copies(here, { 1: asIs, 2: (card) => ({ ...card, fallback: '1' }) }, 'lame');
    await copies(there, { 1: asIs, 2: (card) => ({ ...torn(card), fallback: '1' }) }, 'lame');
    await copies(here, { 1: asIs }, 'absent');
    await copies(there, { 1: torn }, 'absent');
    await startPipeline();
  });
  after(async () => {
    await stopPipeline();
    rmSync(data, { recursive: true, force: true, maxRetries: 20 });
  });

  async function models(...argv: string[]): Promise<{ code: number; text: string }> {
    let text = '';
    const sink = new Writable({ write: (chunk: Buffer, _encoding, next) => ((text += chunk.toString()), next()) });
    const code = await modelsCommand(argv, { SACCADE_DATA: data, SACCADE_MODELS: A, SACCADE_MODELS_DIR: here, SACCADE_PROVIDERS: 'cpu' }, { stdout: sink, stderr: sink });
    return { code, text };
  }
  async function done(...argv: string[]): Promise<string> {
    const { code, text } = await models(...argv);
    assert.equal(code, 0, text);
    return text;
  }
  async function ask(url: string, model: string, query = ''): Promise<Asked> {
    const picture = model === A ? small : face;
    const response = await fetch(`${url}/v1/infer?model=${model}${query}`, { method: 'POST', headers: { 'content-type': 'image/jpeg' }, body: new Uint8Array(picture) });
    const { id = null, code = null, version = null } = (await response.json()) as Partial<Asked>;
    return { status: response.status, code, id, version };
  }
  const ready = async (url: string): Promise<string> => (await fetch(`${url}/ready`)).text();
  const seen = (all: readonly Asked[]): string[] => [...new Set(all.map(({ status, code }) => `${status} ${code}`))].toSorted();

  const tensors = async (model: string): Promise<number> => (await log.endOffsets(`tensors.${model}`)).reduce((sum, { offset }) => sum + offset, 0);

  /** Frames until it is over, or closed by the edge; answers what each was told, in order, and the code it was closed with. */
  async function stream(url: string, source: string, model: string, over: () => boolean): Promise<{ told: string[]; closed: number | null }> {
    const client = await streamClient(url, { source, model, policy: 'wait' });
    const shut = (): boolean => client.closed() !== null;
    let sent = 0;
    while (!over() && !shut()) {
      await eventually(() => client.credits() > 0 || shut(), 'a credit', 240_000);
      if (!shut()) client.frame(sent++, model === A ? small : face);
      await eventually(() => client.outcomes().length > sent - 3 || shut(), 'answers to keep up', 240_000);
    }
    await eventually(() => client.outcomes().length >= sent || shut(), 'every outcome', 240_000);
    const closed = client.closed()?.code ?? null;
    if (closed === null) await client.close();
    const outcomes = client.outcomes();
    assert.deepEqual(outcomes.map(({ sequence }) => sequence), [...outcomes.keys()], 'one for each, in order');
    // What was on its way when the edge closed has not been taken.
    if (closed === null) assert.equal(outcomes.length, sent);
    return { told: outcomes.map(({ type, code }) => (type === 'error' ? String(code) : type)), closed };
  }

  test('under load, by every door: the other one never notices, and all that was accepted is answered once', async () => {
    const [a, b]: [Asked[], Asked[]] = [[], []];
    const accepted: Asked[] = [];
    const load = new AbortController();
    const calling = (into: Asked[], model: string) =>
      urls.map(async (url) => {
        while (!load.signal.aborted) {
          into.push(await ask(url, model));
          // Who is refused at once leaves the processor to who is answered.
          if (into.at(-1)!.status !== 200) await sleep(50);
        }
      });
    // Nobody waits for these, so they must not come faster than others are answered.
    const sending = urls.map(async (url) => {
      for (let told = 0; !load.signal.aborted; told = b.length) {
        await eventually(() => b.length > told || load.signal.aborted, 'another answer', 240_000);
        accepted.push(await ask(url, B, '&wait=0'));
      }
    });
    const others = [...calling(a, A), ...calling(b, B), ...sending];
    const streamed = stream(urls[0]!, 'gate', A, () => load.signal.aborted);
    await eventually(() => a.length > 5 && b.length > 5, 'load', 240_000);
    assert.deepEqual(seen(b), ['422 unknown_model']);

    const loaded = await done('load', B);
    assert.match(loaded, /ultraface@1 answers now/);
    // By now every door of every process: none refuses any more.
    const from = b.length + urls.length;
    const ofB = stream(urls[1]!, 'yard', B, () => false);
    await eventually(() => b.length > from + 10, 'answers of the new one', 240_000);
    assert.deepEqual(seen(b.slice(from)), ['200 null']);
    assert.equal(await tensors(B), 0, 'it was fused before it was asked for');
    assert.match(await done('list'), /ultraface {2}\(served by 3 processes\)/);

    // What lies in frames.in is accepted as well, and is behind a good deal of others'.
    const backlog = 40;
    await producer.send(Array.from({ length: backlog }, (_, i) => ({ topic: 'frames.in', key: `camera-${i % 4}`, value: face, headers: { models: B } })));
    const unloading = done('unload', B);
    assert.match(await unloading, /ultraface is gone/);
    const gone = b.length + urls.length;
    await eventually(() => b.length > gone + 40, 'refusals', 240_000);
    load.abort();
    await Promise.all(others);

    assert.deepEqual(seen(a), ['200 null'], 'the other one');
    const ofA = await streamed;
    assert.deepEqual([new Set(ofA.told), ofA.closed], [new Set(['result']), null]);
    assert.deepEqual(seen(b.slice(gone)), ['422 unknown_model']);
    assert.deepEqual(seen(b), ['200 null', '409 model_unloading', '422 unknown_model']);
    const { told: toldB, closed } = await ofB;
    assert.equal(closed, 4404, 'a stream of a model that goes is closed once all is told');
    const answered = toldB.filter((each) => each === 'result').length;
    assert.ok(answered > 0, toldB.join());
    assert.ok(toldB.slice(answered).every((each) => each === 'model_unloading'), toldB.join());

    const asked = [...b, ...accepted].filter(({ status }) => status < 300);
    const owed = asked.length + backlog + answered;
    assert.equal(new Set(asked.map(({ id }) => id)).size, asked.length);
    await eventually(async () => (await count(store, `select count() as n from predictions where model = '${B}'`)) >= owed, `${owed} rows`, 240_000);
    assert.equal(await count(store, `select count() as n from outcomes where model = '${B}' and status = 'ok'`), owed);
    assert.equal(await count(store, `select count() as n from outcomes where model = '${B}' and stage != 'ingest' and status != 'ok'`), 0, 'nothing is refused behind the doors');
    process.stdout.write(`${JSON.stringify({ other: a.length, answered: owed, refused: b.filter(({ status }) => status >= 400).length })}\n`);
  });

  test('what cannot be is refused before anything is changed', async () => {
    for (const [argv, code, words] of [
      [['load', 'resnet'], 2, /no model resnet.*efficientnet-lite0/],
      [['load', A], 2, /served already.*models use/],
      [['load', 'torn'], 1, /SHA-256/],
      [['unload', B], 2, /ultraface is not served; served: efficientnet-lite0/],
      [['unload', A], 2, /the last model/],
      [['use', `${B}@1`], 2, /not served.*models load ultraface/],
    ] as const) {
      const { code: found, text } = await models(...argv);
      assert.equal(found, code, text);
      assert.match(text, words);
    }
    assert.equal(await ready(ops), '{"status":"ready"}');
  });

  test('one that a process cannot load is served nowhere; while it is tried /ready and the metrics say so', async () => {
    const { code, text } = await models('load', 'absent');
    assert.deepEqual([code, /works here, but not in every process.*ingest, preprocess, infer, sink: .*SHA-256/s.test(text)], [1, true], text);
    assert.deepEqual(seen([await ask(urls[0]!, 'absent')]), ['422 unknown_model']);
    await eventually(async () => (await ready(ops)) === '{"status":"ready"}', 'all well again');

    const tell = (control: ModelControl) => producer.send([{ topic: modelsTopic, key: 'absent', value: Buffer.from(JSON.stringify(control)), partition: 0 }]);
    await tell({ ...asItIs, version: '1', state: 'loading' });
    await eventually(async () => /degraded.*model absent.*SHA-256/.test(await ready(ops)), 'the trouble');
    assert.match(await (await fetch(`${ops}/metrics`)).text(), /saccade_model_degraded\{model="absent"\} 1/);
    await tell({ ...asItIs, state: 'gone' });
    await eventually(async () => (await ready(ops)) === '{"status":"ready"}', 'the end of it');
  });

  test('one that the stages cannot load goes to the fallback of its card, and says so', async () => {
    assert.match(await done('load', 'lame@2'), /!! ingest, preprocess, infer, sink: lame@2 cannot be served, lame@1 answers instead/);
    const answer = await ask(urls[0]!, 'lame');
    assert.deepEqual([answer.status, answer.version], [200, '1']);
    assert.match(await ready(ops), /degraded.*lame@1 answers instead/);
    assert.match(await (await fetch(`${ops}/metrics`)).text(), /saccade_model_fallback\{model="lame"\} 1/);
  });

  test('the one that answers where none is named goes only if that is meant; after a restart all is as it was left', async () => {
    const { code, text } = await models('unload', A);
    assert.deepEqual([code, /answers those who ask for no model by name; lame would.*--force/.test(text)], [2, true], text);
    await done('load', B);
    await done('unload', 'lame');
    await done('unload', A, '--force');
    await stopPipeline();
    await startPipeline();
    // Fused behind preprocess this time.
    assert.deepEqual(seen([await ask(urls[0]!, B), await ask(urls[1]!, B)]), ['200 null']);
    assert.deepEqual(seen([await ask(urls[0]!, A), await ask(urls[1]!, A)]), ['422 unknown_model']);
    assert.match(await done('list'), /efficientnet-lite0 {2}\(not served\)\n[^]*ultraface {2}\(served by 3 processes\)/);
    await done('load', A);
    // The branch that was fused idles, and comes to life again.
    await done('unload', B, '--force');
    assert.deepEqual(seen([await ask(urls[0]!, B), await ask(urls[1]!, A)]), ['200 null', '422 unknown_model']);
    await done('load', B);
    assert.deepEqual(seen([await ask(urls[0]!, B), await ask(urls[1]!, A)]), ['200 null']);
    assert.equal(await ready(ops), '{"status":"ready"}');
  });

  test('a process without the folder of one that was loaded cuts its pictures and leaves the rest to others, until it has it: then it is fused there too', async () => {
    const bare = join(data, 'models-of-a-bare-machine');
    await cp(join(modelsRoot, A), join(bare, A), { recursive: true });
    const late = startSaccade(data, ['--stages', 'preprocess,infer'], { ...env, SACCADE_MODELS_DIR: bare });
    const port = await late.ready();
    assert.match(await ready(port), /degraded.*model ultraface/);
    assert.match(await (await fetch(`${port}/metrics`)).text(), /saccade_model_degraded\{model="ultraface"\} 1/);
    const sources = Array.from({ length: 16 }, (_, i) => `gate-${i}`);
    const answers = (): Promise<number> => count(store, "select count() as n from outcomes where source like 'gate-%' and status = 'ok'");
    let sent = 0;
    /** Of each source one, for both. */
    async function more(): Promise<void> {
      await producer.send(sources.map((key) => ({ topic: 'frames.in', key, value: face, headers: { models: `${A},${B}` } })));
      sent += sources.length;
    }
    const written = await tensors(B);
    await more();
    await eventually(async () => (await answers()) === 2 * sent, 'answers of both', 120_000);
    assert.ok((await tensors(B)) > written, 'what it had cut went by the log');
    assert.deepEqual(seen([await ask(urls[0]!, B), await ask(urls[1]!, A)]), ['200 null']);

    await copies(bare, { 1: asIs });
    await eventually(async () => (await ready(port)) === '{"status":"ready"}', 'its folder to be found', 120_000);
    await eventually(async () => {
      const ends = await tensors(B);
      await more();
      await eventually(async () => (await answers()) === 2 * sent, 'answers of both', 120_000);
      return (await tensors(B)) === ends;
    }, 'it to be fused', 120_000);
    assert.equal(await late.interrupt(), 0);
    await more();
    await eventually(async () => (await answers()) === 2 * sent, 'answers after it has gone', 120_000);
    assert.equal(await count(store, "select count() as n from outcomes where source like 'gate-%'"), 2 * sent, 'and nothing else');
  });
});
