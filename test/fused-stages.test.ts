import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asFused } from '../processors/assembly/fused-stages.ts';
import { stagesToWatch } from '../processors/topology.ts';

test('a fused stage is as far as the one it is fused behind', () => {
  const stages = stagesToWatch(['nanodet']);
  const topics = (fused: readonly (readonly [string, string])[]) => Object.fromEntries(asFused(stages, fused).map(({ stage, topic }) => [stage, topic]));
  assert.deepEqual(asFused(stages, []), stages);
  assert.deepEqual(topics([['preprocess', 'infer']]), { ...topics([]), 'infer.nanodet': 'frames' });
  const all = topics([['ingest', 'preprocess'], ['preprocess', 'infer'], ['infer', 'sink']]);
  assert.deepEqual([all.preprocess, all['infer.nanodet'], all.sink], ['frames.in', 'frames.in', 'frames.in']);
  assert.deepEqual(asFused(stages, [['infer', 'sink']]), stages, 'behind a stage of each model');
  const elsewhere = asFused(stagesToWatch(['nanodet', 'ultraface']), [['preprocess', 'infer']], (stage) => stage === 'infer.ultraface');
  assert.deepEqual(elsewhere.filter(({ stage }) => stage.startsWith('infer.')).map(({ topic }) => topic), ['frames', 'tensors.ultraface'], 'one that is not fused here');
  assert.equal(asFused(stages, [['preprocess', 'infer']]).find(({ stage }) => stage === 'infer.nanodet')!.group, 'saccade.preprocess');
});
