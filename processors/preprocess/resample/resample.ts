/** Resampling of RGB bytes with WebAssembly's SIMD: antialiased, to within a grey level of what libvips makes of them. */
import { readFileSync } from 'node:fs';
import type { Region, Size } from '../region.ts';
import { assemble } from './assemble.ts';
import { type Filter, one, type Weights, weightsOf } from './weights.ts';

/** What is used of it: neither ES2023 nor Node 20's types declare it. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { readonly exports: unknown };
};

interface Kernels {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  vertical(source: number, stride: number, bytes: number, table: number, taps: number, rows: number, target: number, targetStride: number): void;
  horizontal(source: number, stride: number, table: number, taps: number, columns: number, rows: number, target: number, bias: number): void;
}

export interface Resampler {
  /** Room for a picture of so many bytes, to be written before `resample`. Valid until the next call: growing moves the memory. */
  room(bytes: number): Buffer;
  /**
   * The region of the picture in the room (RGB, `width` pixels a row) at another size: a copy, height x width x 3.
   * `lift`: levels added to red, green and blue before they are rounded.
   */
  resample(width: number, region: Region, to: Size, filter: Filter, lift?: readonly number[]): Uint8Array<ArrayBuffer>;
}

const pageBytes = 65_536;
/** The kernels read and write up to a vector over the end. */
const slack = 64;
/** Tables are made once for each pair of lengths: a camera's pictures have one size. */
const tablesKept = 64;

const aligned = (bytes: number): number => Math.ceil(bytes / 16) * 16;

/** One at a time: it has one memory. */
export function resampler(): Resampler {
  const module = new WebAssembly.Module(assemble(readFileSync(new URL('./resample.wat', import.meta.url), 'utf8')));
  const kernels = new WebAssembly.Instance(module).exports as Kernels;
  const tables = new Map<string, { readonly taps: number; readonly bytes: Uint8Array }>();
  let pictureBytes = 0;

  function grow(bytes: number): void {
    const missing = bytes - kernels.memory.buffer.byteLength;
    if (missing > 0) kernels.memory.grow(Math.ceil(missing / pageBytes));
  }

  function tableOf(from: number, to: number, filter: Filter, multiple: number, unit: number) {
    const key = `${from} ${to} ${filter} ${multiple}`;
    let table = tables.get(key);
    if (!table) {
      if (tables.size >= tablesKept) tables.clear();
      tables.set(key, (table = packed(weightsOf(from, to, filter, multiple), unit)));
    }
    return table;
  }

  return {
    room(bytes) {
      pictureBytes = bytes;
      grow(bytes + slack);
      return Buffer.from(kernels.memory.buffer, 0, bytes);
    },

    resample(width, region, to, filter, lift = [0, 0, 0]) {
      const rows = tableOf(region.height, to.height, filter, 2, 1);
      const columns = tableOf(region.width, to.width, filter, 4, 3);
      const rowBytes = region.width * 3;
      const middleStride = aligned(rowBytes) + slack;
      const targetBytes = to.width * to.height * 3;

      const bias = aligned(pictureBytes + slack);
      const rowTable = bias + 16;
      const columnTable = aligned(rowTable + rows.bytes.length);
      const middle = aligned(columnTable + columns.bytes.length);
      const target = aligned(middle + middleStride * to.height);
      grow(target + targetBytes + slack);
      const memory = new Uint8Array(kernels.memory.buffer);
      new Int32Array(kernels.memory.buffer, bias, 4).set([...lift, 0].map((levels) => Math.round((levels + 0.5) * one)));
      memory.set(rows.bytes, rowTable);
      memory.set(columns.bytes, columnTable);

      const source = (region.top * width + region.left) * 3;
      kernels.vertical(source, width * 3, rowBytes, rowTable, rows.taps, to.height, middle, middleStride);
      kernels.horizontal(middle, middleStride, columnTable, columns.taps, to.width, to.height, target, bias);
      return memory.slice(target, target + targetBytes);
    },
  };
}

/** As the kernels read them: the start (in units of `unit`), then the weights. */
function packed({ taps, starts, values }: Weights, unit: number): { taps: number; bytes: Uint8Array } {
  const entry = 4 + taps * 2;
  const view = new DataView(new ArrayBuffer(starts.length * entry));
  starts.forEach((start, i) => {
    view.setInt32(i * entry, start * unit, true);
    for (let tap = 0; tap < taps; tap++) view.setInt16(i * entry + 4 + tap * 2, values[i * taps + tap]!, true);
  });
  return { taps, bytes: new Uint8Array(view.buffer) };
}
