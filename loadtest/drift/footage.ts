/** Footage of a camera that nothing happens to, as JPEGs in order: a video, or pictures seen through a camera that sways a little. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import sharp from 'sharp';
import { runProgram } from '../../deploy/local/python.ts';
import { normal } from '../../processors/drift/statistics/random.ts';
import { findFfmpeg } from '../../processors/camera/ffmpeg.ts';

const width = 640;
const height = 480;
const pictures = new Set(['.jpg', '.jpeg', '.png', '.webp']);

/** At most `most` frames of the media: a video file, a picture, or a folder of pictures. Throws what ffmpeg or the disk says. */
export async function footage(media: string, most: number): Promise<Buffer[]> {
  const files = statSync(media).isDirectory() ? readdirSync(media).filter((name) => pictures.has(extname(name).toLowerCase())).toSorted().map((name) => join(media, name)) : [media];
  if (files.length === 0) throw new Error(`there is no picture in ${media}`);
  if (files.length > 1 || pictures.has(extname(media).toLowerCase())) return sway(files, most);
  const folder = mkdtempSync(join(tmpdir(), 'saccade-drift-'));
  try {
    await runProgram(findFfmpeg(), ['-v', 'error', '-i', media, '-frames:v', `${most}`, '-vf', `scale=${width}:-2`, '-q:v', '3', join(folder, '%06d.png')]);
    return await Promise.all(readdirSync(folder).toSorted().map((name) => sharp(readFileSync(join(folder, name))).jpeg({ quality: 90 }).toBuffer()));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Frames a picture stays in view, and of how many its swings remember themselves. */
const stay = 30;
const memory = 0.9;

/** A camera that pans, zooms and is lit a little differently from frame to frame, each much like the one before; it looks at the pictures in turn. */
async function sway(files: readonly string[], most: number): Promise<Buffer[]> {
  const bell = normal(11);
  const swings = [0, 0, 0, 0];
  const sizes = await Promise.all(files.map((file) => sharp(file).metadata()));
  const frames: Buffer[] = [];
  for (let i = 0; i < most; i++) {
    for (let j = 0; j < swings.length; j++) swings[j] = memory * swings[j]! + Math.sqrt(1 - memory ** 2) * bell();
    const which = Math.floor(i / stay) % files.length;
    const { width: w, height: h } = sizes[which]!;
    const zoom = 0.8 + 0.04 * Math.max(-2, Math.min(2, swings[2]!));
    const [cut, down] = [Math.floor(Math.min(w, (h * width) / height) * zoom), Math.floor(Math.min(h, (w * height) / width) * zoom)];
    const place = (room: number, swing: number): number => Math.round(room * Math.max(0, Math.min(1, 0.5 + 0.15 * swing)));
    frames.push(await sharp(files[which]).extract({ left: place(w - cut, swings[0]!), top: place(h - down, swings[1]!), width: cut, height: down }).resize(width, height).linear(1 + 0.02 * swings[3]!, 0).jpeg({ quality: 90 }).toBuffer());
  }
  return frames;
}
