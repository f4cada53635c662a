/** What `--source` may say. */
import { statSync } from 'node:fs';
import { basename, dirname, extname, resolve } from 'node:path';
import { SaccadeError, withoutCredentials } from '../../connectors/errors.ts';
import { isGlob, listImages } from './image-files.ts';
import { rtspName } from './rtsp-name.ts';

export type SourceSpec =
  | { readonly kind: 'none' }
  | { readonly kind: 'demo'; readonly name: string }
  | { readonly kind: 'video'; readonly name: string; readonly path: string }
  | { readonly kind: 'rtsp'; readonly name: string; readonly url: string }
  /** `path` is a folder or a glob. */
  | { readonly kind: 'images'; readonly name: string; readonly path: string };

const allowed = 'demo, none, a video file, rtsp://…, a folder of images or a glob, each with an optional name= before it';
const invalid = (text: string, why: string): SaccadeError =>
  new SaccadeError('invalid_config', `--source ${withoutCredentials(text)}: ${why}. Allowed: ${allowed}.`);

/**
 * `[NAME=]WHAT`. The name is the key of the frames; without one it is made of the file's or folder's name, or the stream's address.
 * Throws invalid_config naming the setting, its value and what is allowed.
 */
export function parseSource(text: string): SourceSpec {
  const prefixed = /^([\w.-]{1,100})=(.+)$/s.exec(text);
  // A file whose own name has an equals sign is still reachable.
  const [name, what] = prefixed && !stat(text) ? [prefixed[1], prefixed[2]!] : [undefined, text];

  if (what === '') throw invalid(text, 'it is empty');
  if (what === 'none') {
    if (name !== undefined) throw invalid(text, 'none has no name');
    return { kind: 'none' };
  }
  if (what === 'demo') return { kind: 'demo', name: name ?? 'demo' };
  if (/^rtsps?:/i.test(what)) return { kind: 'rtsp', name: name ?? streamName(text, what), url: what };
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(what)) throw invalid(text, 'only rtsp:// and rtsps:// streams are read');

  const path = resolve(what);
  const found = stat(path);
  if (found?.isDirectory()) {
    if (listImages(path).length === 0) throw invalid(text, 'the folder holds no .jpg, .jpeg, .png or .webp');
    return { kind: 'images', name: name ?? nameFrom(basename(path)), path };
  }
  if (found) return { kind: 'video', name: name ?? nameFrom(basename(path, extname(path))), path };
  if (!isGlob(what)) throw invalid(text, 'no such file or folder');
  if (listImages(path).length === 0) throw invalid(text, 'no image matches');
  return { kind: 'images', name: name ?? nameFrom(basename(fixedPart(path))), path };
}

/**
 * All sources of a process. Frames are told apart by their source's name: two cameras of one name would share a key, a
 * place on the page and their counts. Throws invalid_config naming both.
 */
export function parseSources(texts: readonly string[]): SourceSpec[] {
  const taken = new Map<string, string>();
  return texts.map((text) => {
    const spec = parseSource(text);
    if (spec.kind === 'none') return spec;
    const other = taken.get(spec.name);
    if (other !== undefined) {
      throw new SaccadeError('invalid_config', `--source ${other} and --source ${text} are both named ${spec.name}: put another name= before one of them.`);
    }
    taken.set(spec.name, text);
    return spec;
  });
}

const stat = (path: string) => statSync(path, { throwIfNoEntry: false });

function fixedPart(glob: string): string {
  let folder = glob;
  while (isGlob(folder)) folder = dirname(folder);
  return folder;
}

function streamName(text: string, url: string): string {
  if (!URL.canParse(url)) throw invalid(text, 'the address cannot be read');
  const address = new URL(url);
  if (address.hostname === '') throw invalid(text, 'the address names no host');
  return nameFrom(rtspName(address));
}

const nameFrom = (text: string): string => text.replace(/[^\w.-]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 100) || 'camera';
