/**
 * Whether an ICC profile says no more than what pictures without one are taken for: sRGB. Cameras, phones and editors embed a
 * dozen different files that all mean it. None is known by name here: what a profile does to colours is computed, as a colour
 * manager would (ICC.1:2022, 10.6 curveType, 10.18 parametricCurveType, Annex F.3), and has to end within half a level.
 */

/** A curve of one channel: 0..1 to 0..1, linear light. */
type Curve = (value: number) => number;

/** Colorants of sRGB under D50: what R, G and B each add to X, Y and Z (IEC 61966-2-1, adapted by Bradford's method). */
const colorants = [
  [0.436_066, 0.385_147, 0.143_066],
  [0.222_488, 0.716_873, 0.060_608],
  [0.013_916, 0.097_076, 0.714_096],
] as const;
/** Largest difference of a level that still rounds to the same or the next one. */
const most = 0.5;
/** Where colours are compared: every level of grey, and this many of each channel against each other. */
const steps = 9;

const encode: Curve = (v) => (v <= 0.003_130_8 ? v * 12.92 : 1.055 * v ** (1 / 2.4) - 0.055);

/** A camera's pictures all have the same one. */
const remembered = 8;
const known: { readonly profile: Buffer; readonly verdict: boolean }[] = [];

/** Anything that is not plainly a display's matrix of sRGB is not: false. Never throws. */
export function isSrgb(profile: Buffer): boolean {
  const before = known.find((one) => one.profile.equals(profile));
  if (before) return before.verdict;
  let verdict = false;
  try {
    verdict = meansSrgb(profile);
  } catch {
    // Offsets that lead out of it.
  }
  known.unshift({ profile: Buffer.from(profile), verdict });
  known.length = Math.min(known.length, remembered);
  return verdict;
}

function meansSrgb(profile: Buffer): boolean {
  const text = (at: number): string => profile.toString('latin1', at, at + 4);
  if (profile.readUInt32BE(0) !== profile.length || text(36) !== 'acsp') return false;
  if (text(12) !== 'mntr' || text(16) !== 'RGB ' || text(20) !== 'XYZ ') return false;
  const tags = new Map<string, Buffer>();
  for (let i = 0, count = profile.readUInt32BE(128); i < count; i++) {
    const at = 132 + i * 12;
    const [from, size] = [profile.readUInt32BE(at + 4), profile.readUInt32BE(at + 8)];
    if (from + size > profile.length) return false;
    tags.set(text(at), profile.subarray(from, from + size));
  }
  // Tables, where there are any, count instead of the matrix.
  if ([...tags.keys()].some((name) => /^[ABD]2[ABD]\d$/.test(name))) return false;
  const columns = ['rXYZ', 'gXYZ', 'bXYZ'].map((name) => xyz(tags.get(name)));
  const curves = ['rTRC', 'gTRC', 'bTRC'].map((name) => curveOf(tags.get(name)));
  if (columns.some((column) => column === null) || curves.some((curve) => curve === null)) return false;
  return agrees(columns as number[][], curves as Curve[]);
}

/** s15Fixed16 numbers. */
const fixed = (tag: Buffer, at: number): number => tag.readInt32BE(at) / 65_536;

function xyz(tag: Buffer | undefined): number[] | null {
  return tag?.toString('latin1', 0, 4) === 'XYZ ' ? [8, 12, 16].map((at) => fixed(tag, at)) : null;
}

function curveOf(tag: Buffer | undefined): Curve | null {
  const kind = tag?.toString('latin1', 0, 4);
  if (tag && kind === 'curv') return tableCurve(tag);
  return tag && kind === 'para' ? parametricCurve(tag) : null;
}

function tableCurve(tag: Buffer): Curve {
  const count = tag.readUInt32BE(8);
  if (count === 0) return (v) => v;
  if (count === 1) return (v) => v ** (tag.readUInt16BE(12) / 256);
  const values = Array.from({ length: count }, (_, i) => tag.readUInt16BE(12 + 2 * i) / 65_535);
  return (v) => {
    const at = v * (count - 1);
    const near = Math.min(count - 2, Math.floor(at));
    return values[near]! + (values[near + 1]! - values[near]!) * (at - near);
  };
}

function parametricCurve(tag: Buffer): Curve | null {
  const kind = tag.readUInt16BE(8);
  const count = [1, 3, 4, 5, 7][kind];
  if (count === undefined) return null;
  const [g, a = 1, b = 0, c = 0, d = 0, e = 0, f = 0] = Array.from({ length: count }, (_, i) => fixed(tag, 12 + 4 * i)) as [number, ...number[]];
  if (kind === 0) return (v) => v ** g;
  if (kind === 1) return (v) => (v >= -b / a ? (a * v + b) ** g : 0);
  if (kind === 2) return (v) => (v >= -b / a ? (a * v + b) ** g + c : c);
  if (kind === 3) return (v) => (v >= d ? (a * v + b) ** g : c * v);
  return (v) => (v >= d ? (a * v + b) ** g + e : c * v + f);
}

/** Whether the profile's light, seen as sRGB, has the levels it began with. */
function agrees(columns: readonly (readonly number[])[], curves: readonly Curve[]): boolean {
  const back = inverse(colorants);
  const same = (levels: readonly [number, number, number]): boolean => {
    const light = levels.map((level, i) => curves[i]!(level / 255));
    const seen = [0, 1, 2].map((row) => columns.reduce((sum, column, i) => sum + column[row]! * light[i]!, 0));
    return back.every((row, i) => {
      const linear = Math.min(1, Math.max(0, row.reduce((sum, value, k) => sum + value * seen[k]!, 0)));
      return Math.abs(encode(linear) * 255 - levels[i]!) <= most;
    });
  };
  for (let level = 0; level < 256; level++) if (!same([level, level, level])) return false;
  const along = Array.from({ length: steps }, (_, i) => (i * 255) / (steps - 1));
  return along.every((r) => along.every((g) => along.every((b) => same([r, g, b]))));
}

type Row = readonly [number, number, number];

function inverse([[a, b, c], [d, e, f], [g, h, i]]: readonly [Row, Row, Row]): Row[] {
  const det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  const over = (x: number): number => x / det;
  return [
    [over(e * i - f * h), over(c * h - b * i), over(b * f - c * e)],
    [over(f * g - d * i), over(a * i - c * g), over(c * d - a * f)],
    [over(d * h - e * g), over(b * g - a * h), over(a * e - b * d)],
  ];
}
