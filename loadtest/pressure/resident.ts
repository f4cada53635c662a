/** Resident memory of processes over time: sampled, drawn, judged. */
import { readFileSync } from 'node:fs';
import { systemClock as clock } from '../../processors/runtime/clock.ts';

export interface Curve {
  readonly name: string;
  /** MiB, one every `everyMs`. */
  readonly mib: number[];
}

export interface Sampler {
  readonly curves: readonly Curve[];
  stop(): Promise<void>;
}

export const everyMs = 1_000;

/** VmRSS of /proc: what the process holds, its libraries' and native heaps included. NaN once it is gone. */
function residentMib(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN) / 1024;
  } catch {
    return Number.NaN;
  }
}

export function sampleResident(processes: readonly { readonly name: string; readonly pid: number }[]): Sampler {
  const stopping = new AbortController();
  const curves = processes.map(({ name }) => ({ name, mib: [] as number[] }));
  const running = (async () => {
    while (!stopping.signal.aborted) {
      processes.forEach(({ pid }, i) => curves[i]!.mib.push(residentMib(pid)));
      await clock.sleep(everyMs, stopping.signal);
    }
  })();
  return { curves, stop: async () => (stopping.abort(), running) };
}

/** MiB a minute over the second half: the slope of the line of least squares. */
export function slopeOfSecondHalf({ mib }: Curve): number {
  const half = mib.slice(Math.floor(mib.length / 2)).filter((value) => !Number.isNaN(value));
  const [meanX, meanY] = [(half.length - 1) / 2, half.reduce((sum, y) => sum + y, 0) / half.length];
  const covariance = half.reduce((sum, y, x) => sum + (x - meanX) * (y - meanY), 0);
  const variance = half.reduce((sum, _, x) => sum + (x - meanX) ** 2, 0);
  return variance === 0 ? 0 : (covariance / variance) * (60_000 / everyMs);
}

const bars = '▁▂▃▄▅▆▇█';

/** `width` characters from 0 to the limit. */
export function sparkline({ mib }: Curve, limit: number, width = 60): string {
  const step = Math.max(1, mib.length / width);
  return Array.from({ length: Math.min(width, mib.length) }, (_, i) => {
    const value = Math.max(...mib.slice(Math.floor(i * step), Math.max(Math.floor(i * step) + 1, Math.floor((i + 1) * step))));
    return Number.isNaN(value) ? ' ' : bars[Math.min(bars.length - 1, Math.floor((value / limit) * bars.length))]!;
  }).join('');
}

const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'];

/** A picture of the curves under the limit, with axes in seconds and MiB. */
export function svgOf(curves: readonly Curve[], limit: number): string {
  const [width, height, left, bottom, top] = [720, 360, 56, 40, 16];
  const samples = Math.max(2, ...curves.map(({ mib }) => mib.length));
  const ceiling = limit * 1.1;
  const x = (i: number): string => (left + (i / (samples - 1)) * (width - left - 130)).toFixed(1);
  const y = (value: number): string => (height - bottom - (value / ceiling) * (height - bottom - top)).toFixed(1);
  const lines = curves.map(({ name, mib }, i) => {
    const points = mib.flatMap((value, at) => (Number.isNaN(value) ? [] : [`${x(at)},${y(value)}`])).join(' ');
    const colour = colours[i % colours.length];
    return `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${points}"/><text x="${width - 122}" y="${top + 14 + 18 * i}" fill="${colour}">${name}</text>`;
  });
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => `<text x="${left - 6}" y="${y(share * limit)}" text-anchor="end">${Math.round(share * limit)}</text>`);
  const seconds = [0, 0.5, 1].map((share) => `<text x="${x(share * (samples - 1))}" y="${height - bottom + 18}" text-anchor="middle">${Math.round((share * (samples - 1) * everyMs) / 1000)} s</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>
<line x1="${x(0)}" x2="${x(samples - 1)}" y1="${y(limit)}" y2="${y(limit)}" stroke="#c00" stroke-dasharray="6 4"/><text x="${left + 6}" y="${Number(y(limit)) - 5}" fill="#c00">limit ${limit} MiB</text>
<path d="M${x(0)},${top} V${y(0)} H${x(samples - 1)}" fill="none" stroke="#444"/>
${[...lines, ...ticks, ...seconds].join('\n')}
<text x="${left}" y="${height - 6}">resident memory in MiB over the run</text></svg>\n`;
}
