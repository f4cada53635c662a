/** What drift costs a prediction beside what it costs to make one, in CPU. */
import { fileRegistry } from '../../connectors/registry/files.ts';
import { add, noWindows } from '../../processors/drift/windows.ts';
import type { Asked } from './answers.ts';

/** Rounds, of which the median counts. */
const rounds = 5;

export async function costOfDrift({ answers, cpuMs }: Asked): Promise<{ readonly microseconds: number; readonly share: number; readonly inferenceMs: number }> {
  const predictions = Object.values(answers).map((of) => of.slice(0, 1000));
  const registry = fileRegistry();
  const encoded = await Promise.all(predictions.flat().map((p) => registry.encode('predictions', p)));
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage();
    for (const bytes of encoded) await registry.decode('predictions', bytes);
    for (const of of predictions) {
      const windows = noWindows();
      of.forEach((p, i) => add(windows, { ...p, captured_at: i * 500, accepted_at: i * 500 }));
    }
    const { user, system } = process.cpuUsage(before);
    times.push((user + system) / encoded.length);
  }
  const microseconds = times.toSorted((a, b) => a - b)[rounds >> 1]!;
  return { microseconds, share: (microseconds * predictions.length) / 1000 / cpuMs, inferenceMs: cpuMs };
}
