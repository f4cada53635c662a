/** A branch of a fused chain that comes and goes while records pass: by whichever way they go, none is lost, and the order of each source holds. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'prom-client';
import type { Log } from '../../connectors/ports.ts';
import { systemClock } from '../../processors/runtime/clock.ts';
import { runtimeMetrics } from '../../processors/runtime/metrics.ts';
import type { Pipeline } from '../../processors/runtime/pipeline.ts';
import type { Step } from '../../processors/runtime/wiring.ts';
import { emit, type Input } from '../../processors/stage.ts';
import { caughtUp, eventually, type Item, itemOf, logWith, offer, passOn, pipelineOn, quiet, readAll, step } from '../support/pipeline.ts';

const sources = ['a', 'b', 'c', 'd', 'e', 'f'];
const fuse = [['pre', 'infer']] as const;

/** pre ─▶ t.x, t.y ─▶ infer.x, infer.y ─▶ x, y. */
const pre = (cut: (records: number) => void = () => {}): Step => {
  const process = async (batch: readonly Input<Item>[]) => (cut(batch.length), batch.map(({ value, key }) => emit({ output: 'x', key, value }, { output: 'y', key, value })));
  return step({ name: 'pre', process }, 'in', { '*': 't.*' });
};
const infer = (name: 'x' | 'y', process = passOn('out')): Step => step({ name: `infer.${name}`, batch: { records: 2, bytes: 1e9, waitMs: 0, concurrency: 2 }, process }, `t.${name}`, { out: name });
const fresh = (): Promise<Log> => logWith('in', 't.x', 't.y', 'x', 'y');
const total = async (log: Log, topic: string): Promise<number> => (await log.endOffsets(topic)).reduce((sum, { offset }) => sum + offset, 0);

/** Holds what it is given until it is released, and lets all else pass. */
function dam(holds: (item: Item) => boolean = () => true) {
  let release = (): void => {};
  const open = new Promise<void>((resolve) => (release = resolve));
  let held = 0;
  const passes = passOn('out');
  const process: typeof passes = async (batch) => {
    held += batch.length;
    if (batch.some(({ value }) => holds(value))) await open;
    return passes(batch);
  };
  return { process, release, held: () => held };
}

/** Items of every source, one after the other, until it is told to end; answers how many of each. */
function offering(log: Log, pauseMs: number): () => Promise<number> {
  let going = true;
  const count = (async () => {
    let n = 0;
    for (; going; n += 1) {
      await offer(log, 'in', sources, 1, n);
      await sleep(pauseMs);
    }
    return n;
  })();
  return () => ((going = false), count);
}

async function numbers(log: Log, topic: string): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = Object.fromEntries(sources.map((source) => [source, []]));
  for (const { source, n } of (await readAll(log, topic)).map(itemOf)) found[source]!.push(n);
  return found;
}
const upTo = (count: number): Record<string, number[]> => Object.fromEntries(sources.map((source) => [source, Array.from({ length: count }, (_, n) => n)]));
/** A repeat is one that has come before. */
const withoutRepeats = (found: Record<string, number[]>): Record<string, number[]> => Object.fromEntries(Object.entries(found).map(([source, all]) => [source, [...new Set(all)]]));

async function finish(log: Log, ...pipelines: Pipeline[]): Promise<void> {
  for (const [group, topic] of [['g.pre', 'in'], ['g.infer.x', 't.x'], ['g.infer.y', 't.y']] as const) await eventually(() => caughtUp(log, group, topic), `${group} to be done`);
  await Promise.all(pipelines.map((pipeline) => pipeline.stop(1_000)));
}

/** Resolves when what is offered does not come by the topic any more. */
async function bypassed(log: Log, topic: string): Promise<void> {
  await eventually(async () => {
    const [before, input] = [await total(log, topic), await total(log, 'in')];
    await eventually(async () => (await total(log, 'in')) >= input + 4 * sources.length, 'more to be offered');
    return (await total(log, topic)) === before;
  }, `${topic} to be bypassed`);
}

describe('fusing while records pass', () => {
  test('taken in, let go and taken in again: each record once, in order, by both ways', async () => {
    const log = await fresh();
    const pipeline = await pipelineOn(log, [pre(), infer('x')], { fuse });
    await pipeline.start();
    const end = offering(log, 15);
    const uneven = () => infer('y', passOn('out', ({ n }) => (n * 7) % 9));
    for (let life = 0; life < 2; life++) {
      await pipeline.add(uneven());
      await bypassed(log, 't.y');
      const before = await total(log, 't.y');
      const states = [pipeline.fused('infer.y'), pipeline.fused('pre')];
      await pipeline.remove('infer.y', 1_000);
      assert.deepEqual([...states, pipeline.fused('infer.y')], [true, false, false]);
      await eventually(async () => (await total(log, 't.y')) > before + 20, 'records by the topic');
    }
    await pipeline.add(uneven());
    await bypassed(log, 't.y');
    const count = await end();
    await finish(log, pipeline);
    assert.equal(await total(log, 't.x'), 0, 'the other branch was fused all the time');
    assert.deepEqual(await numbers(log, 'x'), upTo(count));
    assert.deepEqual(await numbers(log, 'y'), upTo(count));
  });

  test('what is handed over waits for what lies in the topic, and a crash between loses nothing', async () => {
    const log = await fresh();
    const held = dam();
    let cut = 0;
    const said: string[] = [];
    const logger = () => ({ ...quiet, info: (_of: unknown, message: string) => void said.push(message) });
    const first = await pipelineOn(log, [pre((records) => (cut += records)), infer('x')], { fuse, logger });
    await first.start();
    await offer(log, 'in', sources, 3);
    await eventually(async () => (await total(log, 't.y')) === 18, 'the topic to be written');
    await first.add(infer('y', held.process));
    await eventually(() => held.held() > 0 && said.some((line) => line.startsWith('fused')), 'it is taken in');
    const begun = held.held();
    await offer(log, 'in', sources, 3, 3);
    await eventually(() => cut === 36, 'all to be cut');
    assert.deepEqual([await total(log, 't.y'), held.held()], [18, begun], 'handed over, and not begun');
    assert.deepEqual(first.troubles(), {}, 'nor is that a trouble');
    await eventually(() => said.some((line) => line.startsWith('what is handed over')), 'it to say so');
    assert.equal(said.filter((line) => line.startsWith('what is handed over')).length, 1, 'once');
    await first.stop(0);
    held.release();
    const next = await pipelineOn(log, [pre(), infer('x'), infer('y')], { fuse });
    await next.start();
    await finish(log, next);
    assert.deepEqual(withoutRepeats(await numbers(log, 'y')), upTo(6));
    assert.deepEqual(withoutRepeats(await numbers(log, 'x')), upTo(6));
  });

  test('a wait that lasts is told of, through rebalances, while the process is able to work; one that is over is not', async () => {
    const log = await fresh();
    const held = dam();
    let ahead = 0;
    const clock = { ...systemClock, now: () => systemClock.now() + ahead };
    const [said, announced] = [[] as string[], [] as string[]];
    const registry = new Registry();
    const logger = () => ({ ...quiet, warn: (_of: unknown, message: string) => void said.push(message) });
    const first = await pipelineOn(log, [pre(), infer('x')], { fuse, clock, logger, metrics: runtimeMetrics(registry), announce: (line) => void announced.push(line) });
    await first.start();
    await offer(log, 'in', sources, 3);
    await eventually(async () => (await total(log, 't.y')) === 18, 'the topic to be written');
    await first.add(infer('y', held.process));
    const left = async (): Promise<string | undefined> => /saccade_fused_wait_records\{stage="infer\.y",topic="t\.y"\} (\d+)/.exec(await registry.metrics())?.[1];
    await eventually(async () => (await left()) === '18', 'the wait');
    assert.deepEqual(first.waiting(), {}, 'not worth telling yet');
    ahead = 6_000;
    const about = /^for (\d+) s all that is handed over in memory with it waits for t\.y to be worked off: 18 records are left\./;
    assert.deepEqual([Object.keys(first.waiting()), first.troubles()], [['infer.y'], {}]);
    assert.match(first.waiting()['infer.y']!, about);
    // Another comes and shares the partitions: what is waited for is the same.
    const second = await pipelineOn(log, [pre(), infer('x'), infer('y', held.process)], { fuse });
    const starting = second.start();
    ahead = 70_000;
    await eventually(() => announced.some((line) => line.startsWith('!! infer.y: for ')), 'the terminal to be told');
    assert.ok(Number(about.exec(first.waiting()['infer.y']!)![1]) >= 70 && said.some((line) => about.test(line)));
    held.release();
    await starting;
    await eventually(async () => Object.keys(first.waiting()).length === 0 && (await left()) === undefined, 'its end');
    await offer(log, 'in', sources, 3, 3);
    await finish(log, first, second);
    assert.deepEqual(withoutRepeats(await numbers(log, 'y')), upTo(6));
  });

  test('so it is told of at the start, as the terminal is of the end of what it was told of', async () => {
    const log = await fresh();
    const held = dam();
    let ahead = 0;
    const clock = { ...systemClock, now: () => systemClock.now() + ahead };
    const announced: string[] = [];
    await offer(log, 't.y', sources, 3);
    const pipeline = await pipelineOn(log, [pre(), infer('y', held.process)], { fuse, clock, announce: (line) => void announced.push(line) });
    const starting = pipeline.start();
    await eventually(() => held.held() > 0, 'the topic to be read');
    await eventually(() => ((ahead += 1_000), Object.keys(pipeline.waiting()).length > 0), 'the wait');
    assert.match(pipeline.waiting()['infer.y']!, /waits for t\.y to be worked off: 18 records are left/);
    ahead += 60_000;
    await eventually(() => announced.length > 0, 'the terminal to be told');
    held.release();
    await starting;
    assert.match(announced.shift()!, /^!! infer\.y: for \d\d s all/);
    assert.equal(announced.pop(), 'infer.y: t.y is worked off, what waited for it goes on');
    assert.deepEqual(pipeline.waiting(), {});
    await finish(log, pipeline);
  });

  test('taken in with records in hand whose tensors have not left yet: later ones wait for these too', async () => {
    const log = await fresh();
    const slow = dam(({ n }) => n === 0);
    let cut = 0;
    const pipeline = await pipelineOn(log, [pre((records) => (cut += records)), infer('x', slow.process)], { fuse });
    await pipeline.start();
    await offer(log, 'in', sources, 1);
    await eventually(() => slow.held() === 4 && cut === 6, 'the other branch to have them in hand');
    await pipeline.add(infer('y'));
    await offer(log, 'in', sources, 2, 1);
    await eventually(() => cut === 18, 'all to be cut');
    slow.release();
    await finish(log, pipeline);
    assert.equal(await total(log, 't.y'), 6, 'those in hand alone');
    assert.deepEqual(await numbers(log, 'y'), upTo(3));
  });

  test('taken in behind a branch that is closed still: it stays closed itself until what that one\'s topic held has come through', async () => {
    const log = await logWith('raw', 'in', 't.x', 't.y', 'x', 'y');
    const whole = [['ing', 'pre'], ...fuse] as const;
    const ing = (): Step => step({ name: 'ing', process: passOn('out') }, 'raw', { out: 'in' });
    // What had been handed over and cut before lies in t.y as well, and is no obstacle.
    const between = new Set<string>();
    const [stored, tensors] = [dam(), dam(({ source, n }) => between.has(`${source}${n}`))];
    const { stage, ...at } = pre();
    const usual = stage.process as unknown as typeof stored.process;
    // What lies in the topic between waits; what is handed over does not.
    const cutting = step({ name: 'pre', process: async (batch) => {
      if (batch[0]!.origin.topic === 'in') {
        for (const { value: { source, n } } of batch) between.add(`${source}${n}`);
        await stored.process(batch);
      }
      return usual(batch);
    } }, at.from, at.to);
    const late = { x: 0, y: 0 };
    const counting = (name: 'x' | 'y'): Step =>
      infer(name, async (batch) => {
        if (batch[0]!.origin.topic === 't.y') return tensors.process(batch);
        late[name] += batch.filter(({ value }) => value.n >= before).length;
        return passOn('out')(batch);
      });
    const pipeline = await pipelineOn(log, [ing(), cutting, counting('x')], { fuse: whole });
    await pipeline.start();
    // Another that has not fused, and then leaves its partitions.
    const beside = await pipelineOn(log, [ing()], { fuse: whole });
    await beside.start();
    let before = 0;
    await eventually(async () => {
      await offer(log, 'raw', sources, 1, before++);
      await eventually(() => caughtUp(log, 'g.ing', 'raw'), 'it to be passed on');
      return stored.held() > 0;
    }, 'some of it to come by the topic between');
    await beside.stop(1_000);
    const rest = 3;
    await pipeline.add(counting('y'));
    await offer(log, 'raw', sources, rest, before);
    await eventually(() => caughtUp(log, 'g.infer.y', 't.y'), 'what had been cut before');
    stored.release();
    await eventually(() => tensors.held() > 0 && late.x === rest * sources.length, 'all to be handed over');
    assert.equal(late.y, 0, 'after what lies in its topic');
    tensors.release();
    await eventually(() => caughtUp(log, 'g.ing', 'raw'), 'the head to be done');
    await finish(log, pipeline);
    assert.deepEqual(withoutRepeats(await numbers(log, 'y')), upTo(before + rest));
    assert.deepEqual(withoutRepeats(await numbers(log, 'x')), upTo(before + rest));
  });

  test('let go with records in hand: these are finished, and later ones do not overtake them', async () => {
    const log = await fresh();
    const slow = dam(({ n }) => n < 2);
    let cut = 0;
    const pipeline = await pipelineOn(log, [pre((records) => (cut += records)), infer('x'), infer('y', slow.process)], { fuse });
    await pipeline.start();
    await offer(log, 'in', sources, 2);
    await eventually(() => slow.held() > 0, 'records in hand');
    let gone = false;
    const removed = pipeline.remove('infer.y', 60_000).then(() => (gone = true));
    await offer(log, 'in', sources, 2, 2);
    await eventually(() => cut === 24, 'all to be cut');
    assert.deepEqual([gone, await total(log, 'y'), await total(log, 't.y')], [false, 0, 0]);
    slow.release();
    await removed;
    await eventually(async () => (await total(log, 't.y')) === 12, 'later ones go by the topic');
    await pipeline.add(infer('y'));
    await finish(log, pipeline);
    assert.deepEqual(await numbers(log, 'y'), upTo(4));
  });

  test('a process that has fused takes over from one that has not, and the reverse: order holds', async () => {
    const log = await fresh();
    // The way by the topic is the slower one by far: what is handed over would overtake it if it could.
    const uneven = infer('y', async (batch) => passOn('out', () => (batch[0]!.origin.topic === 't.y' ? 25 : 0))(batch));
    const fused = await pipelineOn(log, [pre(), infer('x'), uneven], { fuse });
    await fused.start();
    const end = offering(log, 20);
    for (let round = 0; round < 3; round++) {
      // It runs no infer at all: all it cuts goes by the topics.
      const beside = await pipelineOn(log, [pre()], { fuse });
      const before = await total(log, 't.y');
      await beside.start();
      await eventually(async () => (await total(log, 't.y')) > before + 40, 'records by the topic');
      await beside.stop(1_000);
      await bypassed(log, 't.y');
    }
    const count = await end();
    await finish(log, fused);
    assert.deepEqual(withoutRepeats(await numbers(log, 'y')), upTo(count));
    assert.deepEqual(withoutRepeats(await numbers(log, 'x')), upTo(count));
  });
});
