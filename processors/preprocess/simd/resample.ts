/** Resampling of RGB bytes with WebAssembly's SIMD: antialiased, to the bit what Pillow's `crop(…).resize(…)` makes of them. */
import type { Region, Size } from '../region.ts';
import { aligned, type Kernels, slack } from './kernels.ts';
import { type Filter, one, type Weights, weightsOf } from './weights.ts';

/**
 * The region of the picture in the kernels' memory (RGB, `width` pixels a row) at another size: a copy, height x width x 3.
 * `lift`: levels added to red, green and blue before they are rounded. `into`: memory of that size for the copy.
 */
export type Resample = (width: number, region: Region, to: Size, filter: Filter, lift?: readonly number[], into?: ArrayBufferLike) => Uint8Array;

/** As a kernel reads it. */
interface Table {
  /** Bytes of one output sample's part. */
  readonly entry: number;
  readonly bytes: Uint8Array;
}

/** Tables are made once for each pair of lengths: a camera's pictures have one size. */
const tablesKept = 64;

export function resampler(kernels: Kernels): Resample {
  const tables = new Map<string, Table>();

  /** `together`: taps whose high parts stand before their low parts. `unit`: bytes from one source sample to the next, or 1 where the kernel counts. */
  function tableOf(from: number, to: number, filter: Filter, together: number, unit: number): Table {
    const key = `${from} ${to} ${filter} ${together}`;
    let table = tables.get(key);
    if (!table) {
      if (tables.size >= tablesKept) tables.clear();
      tables.set(key, (table = packed(weightsOf(from, to, filter, together), together, unit)));
    }
    return table;
  }

  return (width, region, to, filter, lift = [0, 0, 0], into = new ArrayBuffer(to.width * to.height * 3)) => {
    const columns = tableOf(region.width, to.width, filter, 4, 3);
    const rows = tableOf(region.height, to.height, filter, 2, 1);
    const rowBytes = to.width * 3;
    const middleStride = aligned(rowBytes) + slack;

    // From the bias on: the tables, the columns when they are few, the tensor. One row more, since the kernel takes two at a time.
    const columnTable = 16;
    const rowTable = aligned(columnTable + columns.bytes.length);
    const middle = aligned(rowTable + rows.bytes.length);
    const target = aligned(middle + middleStride * (region.height + 1));
    const { at: bias, memory } = kernels.behind(target + rowBytes * to.height);
    const bytes = new Uint8Array(memory, bias);
    new Int32Array(memory, bias, 4).set([...lift, 0].map((levels) => Math.round((levels + 0.5) * one)));
    bytes.set(columns.bytes, columnTable);
    bytes.set(rows.bytes, rowTable);

    const source = (region.top * width + region.left) * 3;
    kernels.horizontal(source, width * 3, bias + columnTable, columns.entry, to.width, Math.ceil(region.height / 2), bias + middle, middleStride, bias);
    kernels.vertical(bias + middle, middleStride, rowBytes, bias + rowTable, rows.entry, to.height, bias + target, rowBytes);
    const tensor = new Uint8Array(into);
    tensor.set(bytes.subarray(target, target + tensor.length));
    return tensor;
  };
}

/** For each output sample the start, then by groups of `together` taps the high parts and the low parts of the weights. */
function packed({ taps, starts, values }: Weights, together: number, unit: number): Table {
  const entry = 4 + taps * 4;
  const view = new DataView(new ArrayBuffer(starts.length * entry));
  starts.forEach((start, i) => {
    view.setInt32(i * entry, start * unit, true);
    for (let tap = 0; tap < taps; tap++) {
      const value = values[i * taps + tap]!;
      const at = i * entry + 4 + Math.floor(tap / together) * together * 4 + (tap % together) * 2;
      view.setInt16(at, value >> lowBits, true);
      view.setInt16(at + together * 2, value & ((1 << lowBits) - 1), true);
    }
  });
  return { entry, bytes: new Uint8Array(view.buffer) };
}

/** Of a weight's 22 bits and a sign: what is left of either part has room in 16 bits. */
const lowBits = 11;
