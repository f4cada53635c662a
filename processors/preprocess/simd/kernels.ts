/** The kernels in WebAssembly, and the one memory they work on: a picture from its start, and behind it room for what they need. */
import { readFileSync } from 'node:fs';
import { assemble } from './assemble.ts';

/** What is used of it: neither ES2023 nor Node 20's types declare it. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { readonly exports: unknown };
};

/** See the .wat files for what each does. */
interface Functions {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  horizontal(source: number, stride: number, table: number, entry: number, columns: number, pairs: number, target: number, targetStride: number, bias: number): void;
  vertical(source: number, stride: number, bytes: number, table: number, entry: number, rows: number, target: number, targetStride: number): void;
  samples(source: number, stride: number, step: number, masks: number, groups: number, rows: number, grid: number, sums: number, shades: number): void;
  laplacian(grid: number, stride: number, masks: number, groups: number, rows: number, sums: number): void;
}

export interface Kernels extends Omit<Functions, 'memory'> {
  /** Room for a picture of so many bytes, from address 0. Valid until memory grows: that moves it. */
  picture(bytes: number): Buffer;
  /** Room for `bytes` behind the picture, at the address given back: the same at each call, so one kernel's at a time. */
  behind(bytes: number): { readonly at: number; readonly memory: ArrayBuffer };
}

const pageBytes = 65_536;
/** They read and write up to two vectors over the end. */
export const slack = 64;

export const aligned = (bytes: number): number => Math.ceil(bytes / 16) * 16;

export function kernels(): Kernels {
  const texts = ['resample', 'quality'].map((name) => readFileSync(new URL(`./${name}.wat`, import.meta.url), 'utf8'));
  const { memory, ...functions } = new WebAssembly.Instance(new WebAssembly.Module(assemble(texts))).exports as Functions;
  let pictureBytes = 0;

  function grow(bytes: number): void {
    const missing = bytes - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / pageBytes));
  }

  return {
    ...functions,
    picture(bytes) {
      pictureBytes = bytes;
      grow(bytes + slack);
      return Buffer.from(memory.buffer, 0, bytes);
    },
    behind(bytes) {
      const at = aligned(pictureBytes + slack);
      grow(at + bytes + slack);
      return { at, memory: memory.buffer };
    },
  };
}
