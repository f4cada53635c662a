import type { Round } from './contestants.ts';

export type Rounds = ReadonlyMap<string, readonly Round[]>;

const round = (value: number, digits: number): number => Number(value.toFixed(digits));

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Ratios of figures of the same round, since a machine's speed drifts: the median, and the least and the most. */
function ratio(rounds: Rounds, above: string, below: string): { median: number; spread: [number, number] } | null {
  const [a, b] = [rounds.get(above) ?? [], rounds.get(below) ?? []];
  const ratios = a.flatMap((each, i) => (b[i] ? [each.imagesPerSecond / b[i].imagesPerSecond] : []));
  if (ratios.length === 0) return null;
  return { median: round(median(ratios), 3), spread: [round(Math.min(...ratios), 3), round(Math.max(...ratios), 3)] };
}

/** Prints tables of images a second and of CPU, then the line of JSON. `bytes`: of an image, by topic. */
export function report(rounds: Rounds, given: { frames: number; repeats: number }, bytes: Readonly<Record<string, number>>): void {
  const rates = [...rounds].map(([name, all]) => [name, all.map(({ imagesPerSecond }) => imagesPerSecond)] as const);
  console.log('\nimages a second');
  console.table(Object.fromEntries(rates.map(([name, all]) => [name, { median: round(median(all), 1), least: round(Math.min(...all), 1), most: round(Math.max(...all), 1) }])));
  const cpu = Object.fromEntries(
    [...rounds].map(([name, all]) => {
      const parts = Object.keys(all[0]?.cpuMs ?? {});
      const each = Object.fromEntries(parts.map((part) => [part, round(median(all.map(({ cpuMs }) => cpuMs[part]!)), 2)]));
      return [name, { ...each, together: round(Object.values(each).reduce((a, b) => a + b, 0), 2) }];
    }),
  );
  console.log('\nCPU milliseconds for an image, by process');
  console.table(cpu);
  console.log('\nbytes for an image, by topic (chained)');
  console.table(bytes);
  const ratios = {
    chained: ratio(rounds, 'chained', 'floor'),
    fused: ratio(rounds, 'fused', 'floor'),
    fused_over_python_worker: ratio(rounds, 'fused', 'python worker'),
    floor_over_python_loop: ratio(rounds, 'floor', 'python loop'),
  };
  const tops = ['floor', 'python loop'].map((name) => rounds.get(name)?.[0]?.top);
  const [ours, theirs] = tops;
  const agreement = ours && theirs ? round(ours.filter((top, i) => top === theirs[i]).length / ours.length, 3) : null;
  console.log(
    JSON.stringify({
      bench: 'pipeline',
      ...given,
      chained_ratio: ratios.chained?.median ?? null,
      fused_ratio: ratios.fused?.median ?? null,
      fused_over_python_worker: ratios.fused_over_python_worker?.median ?? null,
      floor_over_python_loop: ratios.floor_over_python_loop?.median ?? null,
      spread: Object.fromEntries(Object.entries(ratios).map(([name, found]) => [name, found?.spread ?? null])),
      images_per_second: Object.fromEntries(rates.map(([name, all]) => [name, all.map((rate) => round(rate, 1))])),
      cpu_ms_per_image: cpu,
      bytes_per_image: bytes,
      top1_same_as_python_loop: agreement,
    }),
  );
}
