/** Resampling of RGB bytes with WebAssembly's SIMD: antialiased, to within a grey level of what libvips makes of them. */
import type { Region, Size } from '../region.ts';
import { aligned, type Kernels, slack } from './kernels.ts';
import { type Filter, one, type Weights, weightsOf } from './weights.ts';

/**
 * The region of the picture in the kernels' memory (RGB, `width` pixels a row) at another size: a copy, height x width x 3.
 * `lift`: levels added to red, green and blue before they are rounded. `into`: memory of that size for the copy.
 */
export type Resample = (width: number, region: Region, to: Size, filter: Filter, lift?: readonly number[], into?: ArrayBuffer | null) => Uint8Array<ArrayBuffer>;

/** Tables are made once for each pair of lengths: a camera's pictures have one size. */
const tablesKept = 64;

export function resampler(kernels: Kernels): Resample {
  const tables = new Map<string, { readonly taps: number; readonly bytes: Uint8Array }>();

  function tableOf(from: number, to: number, filter: Filter, multiple: number, unit: number) {
    const key = `${from} ${to} ${filter} ${multiple}`;
    let table = tables.get(key);
    if (!table) {
      if (tables.size >= tablesKept) tables.clear();
      tables.set(key, (table = packed(weightsOf(from, to, filter, multiple), unit)));
    }
    return table;
  }

  return (width, region, to, filter, lift = [0, 0, 0], into = null) => {
    const rows = tableOf(region.height, to.height, filter, 2, 1);
    const columns = tableOf(region.width, to.width, filter, 4, 3);
    const rowBytes = region.width * 3;
    const middleStride = aligned(rowBytes) + slack;
    const targetStride = to.width * 3;

    // From the bias on: the tables, the rows when they are few, the tensor. One row more of each: the kernel takes two at a time.
    const rowTable = 16;
    const columnTable = aligned(rowTable + rows.bytes.length);
    const middle = aligned(columnTable + columns.bytes.length);
    const target = aligned(middle + middleStride * (to.height + 1));
    const { at: bias, memory } = kernels.behind(target + targetStride * (to.height + 1));
    const bytes = new Uint8Array(memory, bias);
    new Int32Array(memory, bias, 4).set([...lift, 0].map((levels) => Math.round((levels + 0.5) * one)));
    bytes.set(rows.bytes, rowTable);
    bytes.set(columns.bytes, columnTable);

    const source = (region.top * width + region.left) * 3;
    kernels.vertical(source, width * 3, rowBytes, bias + rowTable, rows.taps, to.height, bias + middle, middleStride);
    kernels.horizontal(bias + middle, middleStride, bias + columnTable, columns.taps, to.width, Math.ceil(to.height / 2), bias + target, targetStride, bias);
    const tensor = new Uint8Array(into ?? new ArrayBuffer(targetStride * to.height));
    tensor.set(bytes.subarray(target, target + tensor.length));
    return tensor;
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
