/** Which files a folder or a glob means. */
import { readdirSync, statSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';

const image = /\.(jpe?g|png|webp)$/i;

/** img2 before img10, as people number them. */
const byName = new Intl.Collator('en', { numeric: true });

export const isGlob = (path: string): boolean => /[*?]/.test(path);

/**
 * Absolute paths of the images in a folder (not in folders below it) or of those that a glob matches, in name order.
 * In a glob `*` and `?` stop at a folder's border and `**` does not. Empty when nothing matches or the folder is away.
 */
export function listImages(path: string): string[] {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const files = isFolder ? inFolder(path) : isGlob(path) ? matching(path) : [];
  return files.filter((file) => image.test(file)).sort(byName.compare);
}

const inFolder = (folder: string): string[] =>
  entries(folder).filter((entry) => entry.isFile()).map((entry) => join(folder, entry.name));

function matching(glob: string): string[] {
  let base = glob;
  while (isGlob(base)) base = dirname(base);
  const rest = glob.slice(base.endsWith(sep) ? base.length : base.length + 1).split(sep);
  return walk(base, rest);
}

/** One folder level for each segment, so that a glob reads no folder it cannot match. */
function walk(folder: string, [segment, ...rest]: readonly string[]): string[] {
  if (segment === undefined) return [];
  if (segment === '**') {
    const below = entries(folder).filter((entry) => entry.isDirectory());
    return [...walk(folder, rest), ...below.flatMap((entry) => walk(join(folder, entry.name), ['**', ...rest]))];
  }
  const wanted = pattern(segment);
  const hits = entries(folder).filter((entry) => wanted.test(entry.name));
  if (rest.length === 0) return hits.filter((entry) => entry.isFile()).map((entry) => join(folder, entry.name));
  return hits.filter((entry) => entry.isDirectory()).flatMap((entry) => walk(join(folder, entry.name), rest));
}

const pattern = (segment: string): RegExp =>
  new RegExp(`^${segment.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.')}$`);

interface Entry {
  readonly name: string;
  isFile(): boolean;
  isDirectory(): boolean;
}

/** Links count as what they point at; a folder that can't be read holds nothing. */
function entries(folder: string): Entry[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      if (!entry.isSymbolicLink()) return [entry];
      const target = statSync(join(folder, entry.name), { throwIfNoEntry: false });
      return target ? [{ name: entry.name, isFile: () => target.isFile(), isDirectory: () => target.isDirectory() }] : [];
    });
  } catch {
    return [];
  }
}
