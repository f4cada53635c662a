import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { SaccadeError } from '../../connectors/errors.ts';
import { runtimeMetrics } from '../../processors/runtime/metrics.ts';
import { drop, emit, reject, retry } from '../../processors/stage.ts';
import { caughtUp, eventually, logWith, offer, pipelineOn, step } from '../support/pipeline.ts';

test('lag, rebalances, retries, pauses, drops and dead letters are metrics, by stage', async () => {
  const log = await logWith('in', 'out');
  await offer(log, 'in', ['a'], 60);
  const registry = new Registry();
  let away = true;
  const steps = [
    step(
      {
        name: 's',
        async process(batch) {
          if (away) return batch.map(() => retry(new SaccadeError('store_unavailable')));
          return batch.map(({ key, value }) => (value.n === 1 ? drop('superseded') : value.n === 2 ? reject(new SaccadeError('inference_failed')) : emit({ output: 'out', key, value })));
        },
      },
      'in',
      { out: 'out' },
    ),
  ];
  const limits = { inFlightBytes: 20_000, fetchBytes: 1e7, fetchBytesPerPartition: 1e6, maxRecordBytes: 1e6, commitIntervalMs: 5 };
  const pipeline = await pipelineOn(log, steps, { metrics: runtimeMetrics(registry), limits });
  await pipeline.start();
  const value = async (line: RegExp): Promise<number> => {
    const found = (await registry.metrics()).split('\n').filter((each) => line.test(each));
    return found.reduce((sum, each) => sum + Number(each.split(' ').at(-1)), 0);
  };
  await eventually(async () => (await value(/^saccade_stage_pauses_total\{stage="s",reason="environment"\}/)) >= 1, 'a wait for the environment');
  assert.equal(await value(/^saccade_stage_lag_records\{stage="s",topic="in"/), 60);
  assert.ok((await value(/^saccade_stage_rebalances_total\{stage="s"\}/)) >= 1);
  assert.ok((await value(/^saccade_stage_records_total\{stage="s",outcome="retried"\}/)) >= 1);
  assert.equal(await value(/^saccade_stage_pauses_total\{stage="s",reason="memory"\}/), 1, 'thirty kilobytes do not fit into twenty');
  assert.equal(await value(/^saccade_stage_paused\{stage="s"\}/), 1);
  away = false;
  await eventually(() => caughtUp(log, 'g.s', 'in'), 'all committed');
  assert.equal(await value(/^saccade_stage_lag_records\{stage="s",topic="in"/), 0);
  assert.equal(await value(/^saccade_stage_paused\{stage="s"\}/), 0);
  assert.equal(await value(/^saccade_stage_dropped_records_total\{stage="s",reason="superseded"\}/), 1);
  assert.equal(await value(/^saccade_stage_dead_letters_total\{stage="s",code="inference_failed"\}/), 1);
  await pipeline.stop(1000);
});
