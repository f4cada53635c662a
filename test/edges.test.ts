/** Two edges behind HAProxy, one of them killed under load: requests that are repeated under their key, and streams that come back. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { freePort } from './chaos/world/free-port.ts';
import { needsKafka } from './support/components.ts';
import { needsHaproxy, startHaproxy } from './support/haproxy.ts';
import { eventually } from './support/pipeline.ts';
import { type Saccade, count, runFileOf, startSaccade, storeOf } from './support/saccade.ts';
import { streamClient, type StreamClient } from './support/stream-client.ts';

/** What a user would write: requests go to whoever is ready, and one that could not be connected goes to the other. */
const configOf = (port: number, edges: readonly string[]): string => `
global
  maxconn 512
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
  retries 2
  option redispatch
frontend saccade
  bind 127.0.0.1:${port}
  default_backend edges
backend edges
  balance leastconn
  option httpchk GET /ready
${edges.map((url, i) => `  server edge-${i} ${new URL(url).host} check inter 200ms fall 1 rise 1`).join('\n')}
`;

/** The process that does the work: what was started by name watches over it. */
function killHard(edge: Saccade): void {
  const { pid } = edge.child;
  const [worker] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
  process.kill(worker!, 'SIGKILL');
}

interface Picture {
  readonly image: Buffer;
  /** Its best, by which its answers are told from those of the others. */
  readonly label: string;
}

interface Asked {
  readonly key: string;
  readonly picture: Picture;
  /** Of its answer; null: it got none. */
  readonly id: string | null;
  readonly tries: number;
}

describe('two edges behind a proxy', { skip: needsHaproxy || needsKafka }, () => {
  const data = mkdtempSync(join(tmpdir(), 'saccade-edges-'));
  const env = { SACCADE_MODELS: 'efficientnet-lite0' };
  let pipeline: Saccade;
  let edges: Saccade[] = [];
  let urls: string[] = [];
  let haproxy: ReturnType<typeof startHaproxy>;
  let url: string;
  const pictures: Picture[] = [];

  before(async () => {
    pipeline = startSaccade(data, ['--source', 'none', '--stages', 'ingest,preprocess,infer,sink'], env);
    await pipeline.ready();
    edges = [0, 1].map(() => startSaccade(data, ['--stages', 'edge'], env));
    urls = await Promise.all(edges.map((edge) => edge.ready()));
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    haproxy = startHaproxy(configOf(port, urls));
    await eventually(async () => (await fetch(`${url}/ready`).catch(() => null))?.status === 200, 'the proxy');
    for (const name of ['coffee', 'chelsea', 'astronaut']) {
      const image = await sharp(`media/${name}.jpg`).resize(224, 168).jpeg().toBuffer();
      const response = await post(image, {});
      pictures.push({ image, label: labelOf(await response.json()) });
    }
    assert.equal(new Set(pictures.map(({ label }) => label)).size, pictures.length, 'each is told from the others');
  });
  after(async () => {
    await haproxy?.stop();
    for (const edge of edges) if (edge.child.exitCode === null) await edge.interrupt();
    await pipeline?.interrupt();
    rmSync(data, { recursive: true, force: true, maxRetries: 20 });
  });

  const post = (image: Buffer, headers: Record<string, string>) => fetch(`${url}/v1/infer`, { method: 'POST', headers: { 'content-type': 'image/jpeg', ...headers }, body: new Uint8Array(image) });
  const labelOf = (answer: unknown): string => (answer as { predictions: { label: string }[] }).predictions[0]!.label;

  /** Each request until it is answered, under one key; the answer is that of its own picture. */
  async function ask(key: string, picture: Picture): Promise<Asked> {
    for (let tries = 1; tries <= 20; tries++) {
      // Null: the connection broke. Whether the frame was taken is not known, which is what the key is for.
      const answer = await post(picture.image, { 'idempotency-key': key }).then(async (response) => (response.status === 200 ? ((await response.json()) as { id: string }) : null)).catch(() => null);
      if (answer !== null) {
        assert.equal(labelOf(answer), picture.label, `the answer under ${key} is another picture's`);
        return { key, picture, id: answer.id, tries };
      }
      await sleep(200);
    }
    return { key, picture, id: null, tries: 20 };
  }

  /** A stream that comes back whenever its socket goes, until it is over and all that was sent is answered. */
  async function streamThrough(source: string, over: () => boolean): Promise<{ readonly outcomes: Map<number, string>; readonly sockets: number }> {
    const outcomes = new Map<number, string>();
    let [session, acknowledged, sockets, next] = ['', -1, 0, 0];
    const done = (): boolean => over() && acknowledged === next - 1;
    while (!done()) {
      const resume: Record<string, string | number> = session === '' ? {} : { session, ...(acknowledged < 0 ? {} : { acknowledged }) };
      const client: StreamClient | null = await streamClient(url, { source, policy: 'wait', ...resume }).catch(() => null);
      if (client === null || client.told.length === 0) {
        await sleep(200);
        continue;
      }
      sockets += 1;
      session = String(client.welcome().session);
      next = ((client.welcome().received as number | null) ?? -1) + 1;
      while (client.closed() === null && !done()) {
        if (client.credits() > 0 && !over()) {
          client.frame(next, pictures[next % pictures.length]!.image);
          next += 1;
        }
        for (const { sequence, type, ...outcome } of client.outcomes().filter((one) => one.sequence! > acknowledged)) {
          assert.equal(sequence, acknowledged + 1, 'in order, and none left out');
          acknowledged = sequence!;
          if (type === 'result') assert.equal(labelOf(outcome), pictures[sequence! % pictures.length]!.label, `frame ${sequence} of ${source} has another one's answer`);
          outcomes.set(sequence!, String(type));
        }
        await sleep(20);
      }
      client.socket.close();
    }
    return { outcomes, sockets };
  }

  test('one is killed: every request has one result under its key, every frame of every stream one outcome, and all are stored once', async () => {
    const answers: Asked[] = [];
    const loading = new AbortController();
    const callers = Array.from({ length: 6 }, async (_, caller) => {
      for (let i = 0; !loading.signal.aborted; i++) answers.push(await ask(`caller-${caller}-${i}`, pictures[(caller + i) % pictures.length]!));
    });
    let over = false;
    const streams = ['gate', 'yard', 'roof', 'hall'].map((source) => streamThrough(source, () => over));
    await eventually(() => answers.length >= 100, 'some load', 60_000);
    const soFar = answers.length;
    killHard(edges[0]!);
    await eventually(() => answers.length >= soFar + 200, 'load after the kill', 120_000);
    over = true;
    const done = await Promise.all(streams);
    // So many that one error would be within what is promised and two would not.
    await eventually(() => answers.length >= 2_000, 'enough to tell a share of errors', 120_000);
    loading.abort();
    await Promise.all(callers);

    const failed = answers.filter(({ id }) => id === null);
    assert.ok(failed.length / answers.length < 0.001, `${failed.length} of ${answers.length} requests were left without an answer`);
    const repeated = answers.filter(({ tries }) => tries > 1);
    assert.equal(new Set(answers.map(({ id }) => id).filter((id) => id !== null)).size, answers.length - failed.length, 'a result of its own for each key');
    assert.ok(done.some(({ sockets }) => sockets > 1), 'streams were cut');
    for (const { outcomes } of done) {
      assert.ok(outcomes.size > 0);
      assert.deepEqual(new Set(outcomes.values()), new Set(['result']));
    }
    // The same key again, at the other edge, is the same frame.
    const [first] = repeated.length > 0 ? repeated : answers;
    assert.equal((await ask(first!.key, first!.picture)).id, first!.id);
    // What an edge answered before it died is known to the one that lives.
    const early = answers.slice(0, 20);
    for (const { id, picture: { label } } of early) {
      let said = '';
      for (let tries = 0; tries < 100; tries++) {
        const response = await fetch(`${url}/v1/results/${id}`);
        said = `${response.status} ${await response.text()}`;
        if (response.status === 200) break;
        await sleep(200);
      }
      assert.match(said, /^200 .*"done"/);
      assert.ok(said.includes(`"${label}"`), `${said} is another picture's`);
    }
    const store = storeOf(runFileOf(data));
    // Those that told which label is whose came without a key.
    const expected = pictures.length + answers.length + done.reduce((sum, { outcomes }) => sum + outcomes.size, 0);
    await eventually(async () => (await count(store, 'select count() as n from predictions')) >= expected, 'all rows', 60_000);
    assert.equal(await count(store, 'select count() as n from predictions'), expected);
    assert.equal(await count(store, 'select uniqExact(id) as n from predictions'), expected);
    // The same key with another picture is refused by an edge that remembers the key; by another one it is answered as what it is.
    const other = pictures.find((picture) => picture !== first!.picture)!;
    const response = await post(other.image, { 'idempotency-key': first!.key });
    if (response.status === 200) assert.equal(labelOf(await response.json()), other.label);
    else assert.equal(response.status, 422);
    await store.close();
    process.stdout.write(`${JSON.stringify({ requests: answers.length, failed: failed.length, repeated: repeated.length, sockets: done.map(({ sockets }) => sockets), frames: done.map(({ outcomes }) => outcomes.size) })}\n`);
  });
});
