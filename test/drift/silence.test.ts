import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { driftConfig } from '../../processors/drift/config.ts';
import { askedEveryMs, type DriftStage, driftStage, silentMs } from '../../processors/drift/drift.ts';
import { openReferences } from '../../processors/drift/references.ts';
import { tellOfSilence } from '../../processors/drift/silence.ts';
import type { Emitted, Input } from '../../processors/stage.ts';
import type { DriftWindow, Prediction } from '../../schemas/records.ts';
import { noon, stream } from '../support/drift.ts';
import { quiet } from '../support/pipeline.ts';

const minute = 60_000;

/** A stage on a clock of the test's, fed as the frames come in. */
function watched(table = new Map<string, Buffer>()) {
  const time = { now: noon };
  const stage: DriftStage = driftStage({ config: driftConfig.parse({}), clock: { now: () => time.now }, references: openReferences(quiet), states: async () => new Map(table), log: quiet });
  const generation = new AbortController();
  let offset = 0;
  const windowsIn = (emitted: readonly Emitted[]): DriftWindow[] => {
    for (const { output, key, value } of emitted) if (output === 'state') table.set(key!, value as Buffer);
    return emitted.filter(({ output }) => output === 'windows').map(({ value }) => value as DriftWindow);
  };
  return {
    time,
    table,
    generation,
    async see(predictions: readonly Prediction[]): Promise<DriftWindow[]> {
      time.now = Math.max(time.now, predictions.at(-1)!.completed_at);
      const inputs = predictions.map((value): Input<Prediction> => ({ value, key: value.source, headers: {}, origin: { cluster: 'c', topic: 'predictions', partition: 0, offset: offset++, timestamp: value.completed_at }, bytes: 1, receivedAt: time.now, attempt: 1 }));
      const outcomes = await stage.process(inputs, generation.signal);
      assert.ok(outcomes.every(({ kind }) => kind === 'emit'), 'every input is done at once: no source holds up the position of its partition');
      return windowsIn(outcomes.flatMap((outcome) => (outcome.kind === 'emit' ? outcome.records : [])));
    },
    /** Asked as the loop asks, until then; what was told by when. */
    async wait(until: number): Promise<{ at: number; window: DriftWindow }[]> {
      const told: { at: number; window: DriftWindow }[] = [];
      while (time.now < until) {
        time.now += askedEveryMs;
        told.push(...windowsIn(await stage.silent()).map((window) => ({ at: time.now, window })));
      }
      return told;
    },
    /** The process stands still. */
    freeze: (ms: number) => void (time.now += ms),
    ask: async () => windowsIn(await stage.silent()),
  };
}
const sight = (windows: readonly DriftWindow[]) => windows.map(({ span, start, frames, late }) => [span, (start - noon) / minute, frames, late]);

describe('a source that falls silent', () => {
  test('has its last window told of once that is over and the source has been silent for a while, and only once', async () => {
    const at = watched();
    assert.deepEqual(await at.see(stream({ seed: 1, frames: 4 * 60 * 4 })), []);
    const told = await at.wait(noon + 30 * minute);
    assert.deepEqual(sight(told.map(({ window }) => window)), [['5m', 0, 960, 0]]);
    const [{ at: when }] = told as [(typeof told)[number]];
    assert.ok(when >= noon + 4 * minute + silentMs - 1000 && when <= noon + 4 * minute + silentMs + 2 * askedEveryMs, `${(when - noon) / minute} min`);
  });

  test('that goes on in time loses nothing to having been told of', async () => {
    const at = watched();
    const frames = stream({ seed: 2, frames: 4 * 60 * 21 });
    await at.see(frames.slice(0, 4 * 60 * 4));
    await at.wait(noon + 8 * minute);
    const later = await at.see(frames.slice(4 * 60 * 10));
    assert.deepEqual(sight(later), [['5m', 10, 1200, 0], ['5m', 15, 1200, 0]]);
  });

  test('what comes after all is counted in the hour, as late as it is', async () => {
    const at = watched();
    const frames = stream({ seed: 3, frames: 4 * 60 * 61 });
    await at.see(frames.slice(0, 900));
    await at.wait(noon + 9 * minute);
    const later = await at.see(frames.slice(900));
    const hour = later.find(({ span }) => span === '1h')!;
    assert.deepEqual(sight(later)[0], ['5m', 5, 1200, 300]);
    assert.deepEqual([hour.frames, hour.late], [4 * 60 * 60, 300]);
  });

  test('slow cameras are not silent ones: a window with too few frames goes on growing', async () => {
    const at = watched();
    await at.see(stream({ seed: 4, frames: 100 }));
    assert.deepEqual(await at.wait(noon + 60 * minute), []);
  });

  test('one that is late by its own clock but comes in is not silent', async () => {
    const at = watched();
    const frames = stream({ seed: 5, from: noon - 86_400_000, frames: 4 * 60 * 4 }).map((frame, i) => ({ ...frame, completed_at: noon + i * 250 }));
    await at.see(frames);
    assert.deepEqual(await at.wait(noon + 4 * minute + silentMs - 2 * askedEveryMs), []);
  });

  test('a process that stood still, or whose partitions may be others’, says nothing', async () => {
    const at = watched();
    await at.see(stream({ seed: 6, frames: 4 * 60 * 4 }));
    await at.wait(noon + 5 * minute);
    at.freeze(10 * minute);
    assert.deepEqual(await at.ask(), []);
    at.generation.abort();
    assert.deepEqual(await at.wait(noon + 40 * minute), []);
  });

  test('whoever has the partition next goes on from what was told', async () => {
    const first = watched();
    const frames = stream({ seed: 7, frames: 4 * 60 * 16 });
    await first.see(frames.slice(0, 4 * 60 * 4));
    assert.equal((await first.wait(noon + 9 * minute)).length, 1);
    const second = watched(first.table);
    const later = await second.see(frames.slice(4 * 60 * 9));
    // What may not have arrived is told again under the same id; the first window is not made anew.
    assert.deepEqual(sight(later), [['5m', 0, 960, 0], ['5m', 5, 1440, 0]]);
  });

  test('what the log does not take is offered again, without the state, which may be another’s by then', async () => {
    const over = new AbortController();
    const window: Emitted = { output: 'windows', key: 'gate', value: 1 };
    const asked = [[window, { output: 'state', key: 'default/gate', value: Buffer.alloc(0) }], [], []];
    const sent: string[][] = [];
    await tellOfSilence({
      stage: { silent: async () => asked.shift() ?? [] },
      send: async (emitted) => {
        sent.push(emitted.map(({ output }) => output));
        if (sent.length === 1) throw new Error('away');
        over.abort();
      },
      clock: { now: () => 0, sleep: async () => undefined },
      signal: over.signal,
      log: { warn: () => undefined },
    });
    assert.deepEqual(sent, [['windows', 'state'], ['windows']]);
  });
});
