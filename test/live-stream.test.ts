import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { SaccadeError } from '../connectors/errors.ts';
import type { Clock, LogConsumer, Position } from '../connectors/ports.ts';
import type { FrameEvent } from '../processors/live/events.ts';
import { onDemand } from '../processors/live/on-demand.ts';
import { stageLag } from '../processors/live/stage-lag.ts';
import { gate, realClock, until } from './support/camera.ts';
import { fedPage } from './support/fed-page.ts';

const T0 = 1_700_000_000_000;

const at = (offsets: readonly number[]): Position[] => offsets.map((offset, partition) => ({ topic: 'frames', partition, offset }));

function counted(opening: () => Promise<void> = async () => undefined) {
  const counts = { opened: 0, closed: 0, failed: 0 };
  const open = async (): Promise<LogConsumer> => {
    await opening();
    counts.opened += 1;
    return { pause: () => undefined, resume: () => undefined, commit: async () => true, close: async () => void (counts.closed += 1) };
  };
  return { counts, open };
}
/** Sleeps end when the test says so, or when aborted. */
function handClock() {
  let wake = gate();
  const clock: Clock = {
    now: () => T0,
    async sleep(_ms, signal) {
      await Promise.race([wake.promise, new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }))]);
    },
  };
  return { clock, wake: () => { wake.open(); wake = gate(); } };
}
const turn = () => new Promise((resolve) => setTimeout(resolve, 5));

test('lag and rate come from the log: ends minus commits, advance over time', async () => {
  let [ends, commits] = [at([100, 50]), at([90])];
  const look = stageLag({ beginningOffsets: async () => at([0, 0]), endOffsets: async () => ends, committed: async () => commits }, () => [{ stage: 'preprocess', group: 'g', topic: 'frames' }]);
  const watched = { stage: 'preprocess', group: 'g', topic: 'frames' };
  assert.deepEqual(await look(T0), [{ ...watched, lag: 60, rate: null }]);
  [ends, commits] = [at([120, 60]), at([110, 40])];
  assert.deepEqual(await look(T0 + 2000), [{ ...watched, lag: 30, rate: 30 }]);
  // Ten seconds without progress later the rate is 0, and a commit set back is no work.
  for (let s = 4; s <= 14; s += 2) await look(T0 + s * 1000);
  commits = at([0, 40]);
  assert.deepEqual(await look(T0 + 16_000), [{ ...watched, lag: 140, rate: 0 }]);
});

test('lag and rate count from the first record there is, where nothing was committed or retention overtook the commit', async () => {
  let commits = at([]);
  const log = { beginningOffsets: async () => at([900, 40]), endOffsets: async () => at([1000, 50]), committed: async () => commits };
  const look = stageLag(log, () => [{ stage: 'preprocess', group: 'g', topic: 'frames' }]);
  const watched = { stage: 'preprocess', group: 'g', topic: 'frames' };
  assert.deepEqual(await look(T0), [{ ...watched, lag: 110, rate: null }]);
  commits = at([920, 10]);
  assert.deepEqual(await look(T0 + 2000), [{ ...watched, lag: 90, rate: 10 }]);
});

describe('a consumer on demand', () => {
  test('opens once, outlives a reload, closes when nobody comes back, opens anew', async () => {
    const { counts, open } = counted();
    const { clock, wake } = handClock();
    const demand = onDemand(open, clock, 1000, () => undefined);
    await turn();
    assert.equal(counts.opened, 0);
    demand.want(true);
    await turn();
    demand.want(false);
    demand.want(true);
    await turn();
    assert.deepEqual(counts, { opened: 1, closed: 0, failed: 0 });
    demand.want(false);
    await turn();
    wake();
    await turn();
    assert.deepEqual(counts, { opened: 1, closed: 1, failed: 0 });
    demand.want(true);
    await turn();
    await demand.close();
    assert.deepEqual(counts, { opened: 2, closed: 2, failed: 0 });
  });

  test('tries again after a failure', async () => {
    let broken = true;
    const { counts, open } = counted(async () => {
      if (broken) throw new SaccadeError('log_unavailable');
    });
    const { clock, wake } = handClock();
    const demand = onDemand(open, clock, 1000, () => (counts.failed += 1));
    demand.want(true);
    await turn();
    broken = false;
    wake();
    await turn();
    assert.deepEqual(counts, { opened: 1, closed: 0, failed: 1 });
    await demand.close();
    assert.equal(counts.closed, 1);
  });
});

describe('live, over a log', () => {
  test('joins what two topics say, serves the picture, counts the stages, and forgets pictures nobody looks at', async () => {
    const page = await fedPage();
    try {
      assert.equal(page.live.of('default').snapshot().stages[0]!.lag, null, 'the log is not asked while nobody looks');
      const frames: FrameEvent[] = [];
      const unsubscribe = page.live.of('default').subscribe((event) => {
        if (event.event === 'frame') frames.push(event.data);
      });
      // The frames are read from the moment the consumer is there.
      for (let n = 0; frames.length === 0; n++) {
        await page.frame({ id: `f${n}`, source: 'gate' });
        await page.prediction({ frame_id: `f${n}`, source: 'gate', model: 'nanodet', detections: [{ class_id: 0, label: 'cup', score: 0.5, x1: 1, y1: 2, x2: 3, y2: 4 }] });
        await page.prediction({ frame_id: `f${n}`, source: 'gate', model: 'efficientnet-lite0', labels: [{ class_id: 1, label: 'espresso', score: 0.75 }] });
        await realClock.sleep(30);
      }
      const [shown] = frames;
      assert.equal(shown!.picture, true);
      assert.deepEqual(shown!.models.nanodet!.detections, [{ label: 'cup', score: 0.5, box: [1, 2, 3, 4] }]);
      assert.deepEqual(shown!.models['efficientnet-lite0']!.labels, [{ label: 'espresso', score: 0.75 }]);
      const response = await fetch(`${page.url}/live/frames/${shown!.frame_id}`);
      assert.equal(response.headers.get('content-type'), 'image/jpeg');
      assert.deepEqual(['cache-control', 'vary'].map((name) => response.headers.get(name)), ['private, no-cache', 'authorization, x-api-key']);
      assert.equal((await fetch(response.url, { headers: { 'if-none-match': response.headers.get('etag')! } })).status, 304);
      assert.ok((await response.arrayBuffer()).byteLength > 10_000);
      const missing = await fetch(`${page.url}/live/frames/nothing`);
      assert.equal(missing.status, 404);
      assert.match(missing.headers.get('content-type')!, /problem\+json/);
      const stages = (): Record<string, number | null> => Object.fromEntries(page.live.of('default').snapshot().stages.map(({ stage, lag }) => [stage, lag]));
      await until(() => stages().preprocess! > 0);
      await page.commit('preprocess');
      await until(() => stages().preprocess === 0);
      assert.ok(stages().sink! > 0);
      assert.equal(page.live.of('default').snapshot().frames.length, 1);
      unsubscribe();
    } finally {
      await page.stop();
    }
  });

  test('the event stream begins with a snapshot, and ends when the server does', async () => {
    const page = await fedPage();
    const response = await fetch(`${page.url}/live/events`);
    assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (!text.includes('event: stats')) text += (await reader.read()).value;
    assert.match(text, /^retry: \d+\n\nevent: snapshot\ndata: \{.*\}\n\nevent: stats\ndata: \{.*/);
    await page.stop();
    for (;;) if ((await reader.read().catch(() => ({ done: true }))).done) break;
  });
});
