/** The references in force, as the topic has them: made ready when a window first asks. */
import type { SaccadeError } from '../../connectors/errors.ts';
import type { Calibration } from './calibration.ts';
import { type Normal, normalOf, type PartOfDay, partAt, type Reference, unpackReference } from './reference.ts';

/** What a reference is for. */
export interface Stream {
  readonly tenant: string;
  readonly source: string;
  readonly model: string;
  readonly version: string | null;
}

/** Key of a reference in the topic. Names of models and versions have no slash and no @; a source may. */
export const referenceKey = ({ tenant, source, model, version }: Stream): string => `${tenant}/${model}@${version ?? ''}/${source}`;

export interface References {
  /**
   * What is normal for the stream at that time (milliseconds since the epoch), or null where nobody has said. Of another version of
   * the model where this one has none: then only the input can be compared.
   */
  normalFor(stream: Stream, at: number): { readonly version: string; readonly sameVersion: boolean; readonly normal: Normal; readonly calibration: Calibration | null } | null;
  /** A value of the topic; null: removed. */
  changed(key: string, value: Buffer | null): void;
}

/** Of as many references what chance does is kept worked out, about a megabyte each at most; of a week it takes a second or two to do so again. */
const readyAtMost = 256;

/** What is kept of a reference: all but its blocks. */
interface Opened {
  readonly version: string;
  readonly calibration: Calibration | null;
  readonly parts: readonly PartOfDay[];
  readonly normals: Map<string, Normal>;
}

const openedOf = ({ version, calibration, parts }: Reference): Opened => ({ version, calibration: calibration ?? null, parts: parts.map(({ name, from, to }) => ({ name, from, to })), normals: new Map() });

export function openReferences(log: { warn(details: object, message: string): void }): References {
  const packed = new Map<string, Buffer>();
  const ready = new Map<string, Opened>();
  /** The one that was read last: it is asked for a few times in a row. */
  let last: { readonly bytes: Buffer; readonly reference: Reference } | null = null;

  function unpacked(bytes: Buffer): Reference {
    if (last?.bytes !== bytes) last = { bytes, reference: unpackReference(bytes) };
    return last.reference;
  }

  function open(key: string): Opened | null {
    const there = ready.get(key);
    // To the end: the one that was asked for longest ago is let go first.
    if (there) ready.delete(key);
    const bytes = packed.get(key);
    if (!bytes) return null;
    try {
      const opened = there ?? openedOf(unpacked(bytes));
      ready.set(key, opened);
      if (ready.size > readyAtMost) ready.delete(ready.keys().next().value!);
      return opened;
    } catch (error) {
      packed.delete(key);
      log.warn({ key, error: (error as SaccadeError).message }, 'a reference cannot be read and is left out');
      return null;
    }
  }

  function other({ tenant, source, model }: Stream): string | undefined {
    const [head, tail] = [`${tenant}/${model}@`, `/${source}`];
    return [...packed.keys()].findLast((key) => key.startsWith(head) && key.endsWith(tail) && !key.slice(head.length, -tail.length).includes('/'));
  }

  return {
    normalFor(stream, at) {
      const own = referenceKey(stream);
      const key = packed.has(own) ? own : other(stream);
      const opened = key === undefined ? null : open(key);
      const part = opened && partAt(opened, at);
      if (!opened || !part) return null;
      let normal = opened.normals.get(part.name);
      if (!normal) {
        const bytes = packed.get(key!)!;
        opened.normals.set(part.name, (normal = normalOf(() => unpacked(bytes).parts.find(({ name }) => name === part.name)!.blocks)));
      }
      return { version: opened.version, sameVersion: key === own, normal, calibration: opened.calibration };
    },
    changed(key, value) {
      ready.delete(key);
      packed.delete(key);
      if (value) packed.set(key, value);
    },
  };
}
