/** The same windows, judged by Evidently and SciPy with their usual settings. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pythonWith, runProgram } from '../../deploy/local/python.ts';
import { uniform } from '../../processors/drift/statistics/random.ts';
import { anHour, pick, type Scene, type Stretch, unchanged, type World } from './scenes.ts';
import { judged } from './simulate.ts';

export interface PeerLot {
  readonly name: string;
  /** Shares of windows that were called drifted. */
  readonly saccade: number;
  readonly peers: Readonly<Record<string, number>>;
}

const folder = fileURLToPath(new URL('../peers', import.meta.url));
const unchangedWindows = 100;
const changedWindows = 20;
/** Of the reference they are given 5,000 frames: of more than 1,000 Evidently takes distances instead of tests, and would of any longer one. */
const referenceStretches = 200;

type Row = Record<string, number | string | null>;

/** What is known of each frame, as one table of both models. */
function rowsOf(part: readonly Stretch[]): Row[] {
  return part.flatMap(({ frames }) =>
    frames.nanodet.map((boxes, i): Row => {
      const classes = frames['efficientnet-lite0'][i]!;
      return {
        luma: boxes.quality!.luma,
        contrast: boxes.quality!.contrast,
        sharpness: boxes.quality!.sharpness,
        saturation: boxes.quality!.saturation ?? null,
        entropy: boxes.quality!.entropy ?? null,
        label: classes.labels[0]?.label ?? '',
        confidence: classes.labels[0]?.score ?? null,
        detections: boxes.detections.length,
        best_box: boxes.detections[0]?.score ?? null,
      };
    }),
  );
}

/** Empty, and said why, where there is no Python. */
export async function judgePeers(worlds: readonly World[], scenes: readonly Scene[], alpha: number, say: (line: string) => void): Promise<PeerLot[]> {
  let python: string;
  try {
    python = await pythonWith(readFileSync(join(folder, 'drift-requirements.txt'), 'utf8').split('\n').filter((line) => line !== ''), say);
  } catch (error) {
    say(`!! no Python peers: ${(error as Error).message.trim().split('\n').at(-1)}`);
    return [];
  }
  const random = uniform(13);
  const lots = [unchanged, ...scenes].map((scene) => ({
    name: scene.strength === '' ? scene.kind : `${scene.kind}, ${scene.strength}`,
    windows: worlds.flatMap((world, half) => Array.from({ length: (scene === unchanged ? unchangedWindows : changedWindows) / worlds.length }, () => ({ half, part: scene.draw(anHour(world, random), random) }))),
  }));
  const place = mkdtempSync(join(tmpdir(), 'saccade-peers-'));
  try {
    const [given, answered] = [join(place, 'windows.json'), join(place, 'verdicts.json')];
    writeFileSync(given, JSON.stringify({ references: worlds.map(({ reference }) => rowsOf(Array.from({ length: referenceStretches }, () => pick(reference, random)))), lots: lots.map(({ name, windows }) => ({ name, windows: windows.map(({ half, part }) => ({ half, rows: rowsOf(part) })) })) }));
    await runProgram(python, [join(folder, 'drift.py'), given, answered], say);
    const verdicts = JSON.parse(readFileSync(answered, 'utf8')) as Record<string, Record<string, number>>;
    const ours = async ({ half, part }: (typeof lots)[number]['windows'][number]): Promise<boolean> => Object.values(await judged(worlds[half]!, part, 0, alpha)).some(({ sentence }) => sentence !== null);
    const compared = [];
    for (const { name, windows } of lots) {
      let drifted = 0;
      for (const window of windows) if (await ours(window)) drifted += 1;
      compared.push({ name, saccade: drifted / windows.length, peers: verdicts[name]! });
    }
    return compared;
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}
