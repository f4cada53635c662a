/** In which order `models unload` closes the doors and looks at the topics: what it counts must be all that can still come. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelWorld } from '../processors/model-commands/world.ts';
import { unloadModel } from '../processors/model-commands/unload.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import { asItIs, type ModelControl } from '../schemas/model-control.ts';

const [lite, faces] = ['efficientnet-lite0', 'ultraface'] as const;

test('a topic is counted only once nothing is let into it any more, whatever time its records name', async () => {
  const steps: string[] = [];
  let control: ModelControl = { ...asItIs, state: 'served', since: 5, version: '1' };
  let told = control;
  // What unload asks for, and nothing else.
  const world: Partial<ModelWorld> = {
    topics: async () => ['frames.in', 'frames', `tensors.${faces}`],
    control: () => control,
    written: () => [faces],
    async write(_name, next) {
      control = next;
      steps.push(`${next.state} since ${next.since === 0 ? 'ever' : 'now'}`);
    },
    // Each process says only at the next look what it was told.
    async processes() {
      const { state, since, version } = told;
      told = control;
      const models = state === 'gone' ? {} : { [faces]: { state: state!, since, version, trouble: null } };
      return new Map([['one', { stages: ['infer'], offered: state === 'served' ? [lite, faces] : [lite], models }]]);
    },
    async ends(topic) {
      steps.push(`${topic} of those who said ${told.state} ${told.since === 0 ? 'ever' : 'now'}`);
      return new Map([[0, 1]]);
    },
    left: async () => new Map([['group', 0]]),
    runs: async () => true,
    clock: { ...systemClock, sleep: async () => {} },
  };
  await unloadModel(world as ModelWorld, { name: 'unload', model: faces, force: false, limitMs: 60_000 }, () => {});
  assert.deepEqual(steps, [
    'draining since now',
    'frames.in of those who said draining now',
    'draining since ever',
    ...['frames.in', 'frames', `tensors.${faces}`].map((topic) => `${topic} of those who said draining ever`),
    'gone since now',
  ]);
});
