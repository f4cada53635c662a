/** A live session by itself: how much of it the pipeline gets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { createBudget } from '../processors/edge/stream/budget.ts';
import { streamConfig } from '../processors/edge/stream/config.ts';
import { streamMetrics } from '../processors/edge/stream/metrics.ts';
import { errorOutcome } from '../processors/edge/stream/prepare-frame.ts';
import { createSession, type FrameInHand } from '../processors/edge/stream/session.ts';
import { realClock } from './support/camera.ts';

test('late answers halve what a live session has in the pipeline, prompt ones give it back', () => {
  const limits = streamConfig.parse({ liveQueue: 8, window: 64 });
  const about = { tenant: 't', session: 's', source: 'gate', model: 'm', policy: 'drop_oldest', acknowledged: -1 } as const;
  const metrics = streamMetrics(new Registry(), { sockets: () => 0, sessions: () => 0, bytes: () => 0, frames: () => 0 });
  const session = createSession({ about, limits, budget: createBudget(1e9), keptBudget: createBudget(1e9), clock: realClock, metrics, allowed: () => true, wake() {}, errorOf: errorOutcome });
  session.attach({ send() {}, close() {}, slow: false, pause() {}, resume() {} }, 'new', -1);
  let sequence = 0;
  const inPipeline: FrameInHand[] = [];
  /** Fills up what there is room for; answers how many are in the pipeline then. */
  function fill(): number {
    for (let i = 0; i < 8; i++) session.receive({ sequence: sequence++, capturedAt: null, image: Buffer.alloc(10) });
    for (let frame = session.take(Date.now()); frame !== null && frame !== 'later'; frame = session.take(Date.now())) {
      session.acknowledged(frame);
      inPipeline.push(frame);
    }
    return inPipeline.length;
  }
  const answer = (tookMs: number): void => session.answered(inPipeline.shift()!.sequence, null, tookMs);

  assert.equal(fill(), 4);
  answer(3_000);
  answer(3_000);
  assert.equal(fill(), 2, 'two were left, and there is room for one');
  for (let left = 2; left > 0; left--) answer(3_000);
  assert.equal(fill(), 1);
  for (let i = 0; i < 12; i++) {
    answer(50);
    fill();
  }
  assert.equal(inPipeline.length, 4);
});
