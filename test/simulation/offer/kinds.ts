/** The frames that are offered: sound ones, and every way in which one can be at fault, with the stage that must find it out. */
import type { ReplyTo } from '../../../schemas/records.ts';
import { models } from '../world/scenario.ts';

export type Culprit = 'ingest' | 'preprocess' | 'infer' | 'sink';

/** The fourth byte of an image is its kind's place in this list; a tensor's first pixel too. */
export const kinds = [
  { name: 'sound', at: null },
  { name: 'not an image', at: 'ingest' },
  { name: 'empty', at: 'ingest' },
  { name: 'too large', at: 'ingest' },
  { name: 'bad header', at: 'ingest' },
  { name: 'unknown model', at: 'ingest' },
  { name: 'no schema reads it', at: 'ingest' },
  { name: 'broken picture', at: 'preprocess' },
  { name: 'throws in preprocess', at: 'preprocess' },
  { name: 'tensor too large', at: 'preprocess' },
  { name: 'refused by the model', at: 'infer' },
  { name: 'throws in infer', at: 'infer' },
  { name: 'refused by the store', at: 'sink' },
  { name: 'kills in preprocess', at: 'preprocess' },
  { name: 'kills in infer', at: 'infer' },
] as const satisfies readonly { name: string; at: Culprit | null }[];

export type Kind = (typeof kinds)[number];
export type KindName = Kind['name'];

export const kindNamed = (name: KindName): Kind => kinds.find((kind) => kind.name === name)!;
/** Each costs its processes several lives, so that only a few may be offered. */
export const isKiller = ({ name }: Kind): boolean => name.startsWith('kills');
export const codeOf = (kind: Kind): number => kinds.indexOf(kind);
export const kindOfCode = (code: number): Kind => kinds[code] ?? kinds[0];

/** The one model that a fault of infer or of the sink concerns; the other answers. */
export const faultyModel = models[0];

/** What is known of a frame that lies in the log, by whoever offered it. */
export interface Truth {
  readonly frameId: string;
  readonly source: string;
  /** Place among the frames of its source, by first appearance in the log. */
  readonly order: number;
  readonly kind: Kind;
  readonly models: readonly string[];
  readonly deadline: number | null;
  readonly reply: ReplyTo | null;
}

/** Whether this model's answer to this frame is at fault, and where. */
export function culpritFor({ kind }: Truth, model: string): Culprit | null {
  if (kind.at === 'ingest' || kind.at === 'preprocess') return kind.at;
  return model === faultyModel ? kind.at : null;
}
