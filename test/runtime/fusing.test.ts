import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SaccadeError } from '../../connectors/errors.ts';
import { planChains } from '../../processors/runtime/wiring.ts';
import { emit, type Input, reject, retry } from '../../processors/stage.ts';
import { caughtUp, eventually, type Item, itemOf, logWith, offer, passOn, pipelineOn, readAll, step } from '../support/pipeline.ts';

/** pre ─▶ t.x, t.y ─▶ infer.x, infer.y ─▶ out. infer.y refuses n = 3. */
const steps = () => {
  const both = async (batch: readonly Input<Item>[]) =>
    batch.map(({ value, key }) => emit({ output: 'x', key, value }, { output: 'y', key, value }));
  const infer = (model: string) => async (batch: readonly Input<Item>[]) =>
    batch.map(({ value, key }) =>
      model === 'y' && value.n === 3
        ? reject(new SaccadeError('inference_failed'))
        : emit({ output: 'out', key, value: { ...value, model } }),
    );
  return [
    step({ name: 'pre', process: both }, 'in', { x: 't.x', y: 't.y' }),
    step({ name: 'infer.x', process: infer('x') }, 't.x', { out: 'out' }),
    step({ name: 'infer.y', process: infer('y') }, 't.y', { out: 'out' }),
  ];
};

const results = async (log: Awaited<ReturnType<typeof logWith>>) =>
  (await readAll(log, 'out')).map(itemOf).map((item) => `${item.source}${item.n}${(item as Item & { model: string }).model}`);

describe('fusing', () => {
  test('the plan joins every neighbour of the pair and keeps emptying the topics it bypasses', () => {
    const plan = planChains(steps(), [['pre', 'infer']]);
    assert.deepEqual(plan.chains.map((c) => [c.step.stage.name, [...c.next.keys()]]), [['pre', ['t.x', 't.y']]]);
    assert.deepEqual(plan.drains.map((c) => c.step.stage.name), ['infer.x', 'infer.y']);
    const apart = planChains(steps(), []);
    assert.equal(apart.chains.length, 3);
    assert.equal(apart.drains.length, 0);
  });

  test('fused gives what chained gives, without the hop', async () => {
    const outcomes = [];
    for (const fuse of [[], [['pre', 'infer']]] as const) {
      const log = await logWith('in', 't.x', 't.y', 'out');
      await offer(log, 'in', ['a', 'b', 'c'], 6);
      const pipeline = await pipelineOn(log, steps(), { fuse });
      await pipeline.start();
      await eventually(async () => (await log.endOffsets('out')).reduce((sum, end) => sum + end.offset, 0) >= 33, 'all results');
      await eventually(() => caughtUp(log, 'g.pre', 'in'), 'all committed');
      await pipeline.stop(1000);
      outcomes.push((await results(log)).sort());
      const hops = (await log.endOffsets('t.x')).reduce((sum, end) => sum + end.offset, 0);
      assert.equal(hops, fuse.length > 0 ? 0 : 18);
    }
    assert.deepEqual(outcomes[1], outcomes[0]);
  });

  test('a trouble is named after the stage that has it', async () => {
    const log = await logWith('in', 't.x', 't.y', 'out');
    await offer(log, 'in', ['a'], 2);
    const [pre, x, y] = steps();
    const away = step({ name: 'infer.y', process: async (batch) => batch.map(() => retry(new SaccadeError('engine_unavailable'))) }, 't.y', { out: 'out' });
    assert.equal(y!.stage.name, away.stage.name);
    const pipeline = await pipelineOn(log, [pre!, x!, away], { fuse: [['pre', 'infer']] });
    await pipeline.start();
    await eventually(() => Object.keys(pipeline.troubles()).length > 0, 'the trouble');
    assert.deepEqual(Object.keys(pipeline.troubles()), ['infer.y']);
    await pipeline.stop(0);
  });

  test('a dead letter of a fused chain holds the input of the chain and names the stage that failed', async () => {
    const log = await logWith('in', 't.x', 't.y', 'out');
    await offer(log, 'in', ['a'], 5);
    const pipeline = await pipelineOn(log, steps(), { fuse: [['pre', 'infer']] });
    await pipeline.start();
    await eventually(() => caughtUp(log, 'g.pre', 'in'), 'all committed');
    await pipeline.stop(1000);
    const letters = await readAll(log, 'in.dlq');
    assert.deepEqual(letters.map((l) => [itemOf(l).n, l.headers['saccade-stage']]), [[3, 'infer.y']]);
    // The other branch of the same input is not lost with it.
    assert.ok((await results(log)).includes('a3x'));
  });

  test('what lay in a bypassed topic is done before the fused chain begins', async () => {
    const log = await logWith('in', 't.x', 't.y', 'out');
    await offer(log, 't.x', ['a'], 5);
    await offer(log, 'in', ['a'], 5, 5);
    const pipeline = await pipelineOn(log, steps(), { fuse: [['pre', 'infer']] });
    await pipeline.start();
    await eventually(() => caughtUp(log, 'g.pre', 'in'), 'all committed');
    await pipeline.stop(1000);
    const x = (await results(log)).filter((r) => r.endsWith('x'));
    assert.deepEqual(x, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `a${n}x`));
    assert.ok(await caughtUp(log, 'g.infer.x', 't.x'));
  });

  test('a stage is told which of its values are done with: written, or settled by whom they were handed to', async () => {
    for (const fuse of [[], [['pre', 'infer']]] as const) {
      const log = await logWith('in', 't.x', 't.y', 'out');
      await offer(log, 'in', ['a'], 5);
      const [spent, seen] = [[] as number[], [] as number[]];
      let tries = 0;
      const [pre, , y] = steps();
      const patient = async (batch: readonly Input<Item>[]) => {
        tries += 1;
        if (tries === 1) throw new SaccadeError('engine_unavailable');
        seen.push(...batch.map(({ value }) => value.n));
        // Of what comes again, nothing may have been used again.
        if (fuse.length > 0) for (const { value } of batch) assert.ok(spent.filter((n) => n === value.n).length <= 1, 'before it was settled');
        return passOn('out')(batch);
      };
      const told = { ...pre!, stage: { ...pre!.stage, spent: (value: unknown) => void spent.push((value as Item).n) } };
      const pipeline = await pipelineOn(log, [told, step({ name: 'infer.x', process: patient }, 't.x', { out: 'out' }), y!], { fuse });
      await pipeline.start();
      await eventually(async () => (await caughtUp(log, 'g.pre', 'in')) && seen.length >= 5, 'all done');
      await eventually(() => spent.length >= 10, 'all told');
      await pipeline.stop(1000);
      assert.deepEqual(spent.toSorted((a, b) => a - b), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
    }
  });

  test('a branch that must wait does not repeat its finished sister', async () => {
    const log = await logWith('in', 't.x', 't.y', 'out');
    await offer(log, 'in', ['a'], 3);
    let tries = 0;
    const [pre, x] = steps();
    const y = step(
      {
        name: 'infer.y',
        async process(batch) {
          tries += 1;
          if (tries === 1) throw new SaccadeError('engine_unavailable');
          return passOn('out')(batch);
        },
      },
      't.y',
      { out: 'out' },
    );
    const pipeline = await pipelineOn(log, [pre!, x!, y], { fuse: [['pre', 'infer']] });
    await pipeline.start();
    await eventually(() => caughtUp(log, 'g.pre', 'in'), 'all committed');
    await pipeline.stop(1000);
    assert.ok(tries > 1);
    assert.equal((await readAll(log, 'out')).length, 6);
  });
});
