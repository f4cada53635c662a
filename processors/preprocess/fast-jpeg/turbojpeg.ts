/**
 * libjpeg-turbo as the binding's package ships it, called by its own interface (turbojpeg.h, version 3): the binding always
 * asks for the fast inverse DCT, whose errors are enough to decide between classes that are nearly tied. The accurate one
 * takes the same time (SIMD does both). Where the library is not a file of its own (macOS, Windows) the binding is used.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import jpeg from '@julusian/jpeg-turbo';
import koffi from 'koffi';
import type { Size } from '../region.ts';

export interface JpegDecoder {
  /** Fills `pixels` (RGB, height x width x 3). Throws what libjpeg-turbo says of data that is not clean or not of that size. */
  decode(bytes: Buffer, pixels: Buffer, size: Size): void;
  /** The inverse DCT rounds; the fast one drops fractions. */
  readonly accurate: boolean;
}

/** One at a time: it has one handle, kept as long as the thread lives. */
export const jpegDecoder = (): JpegDecoder => accurateDecoder() ?? bindingDecoder();

/** Of turbojpeg.h. */
const decompressing = 1;
const parameter = { stopOnWarning: 0, width: 5, height: 6, fastUpsample: 9, fastDct: 10 };
const rgb = 0;

/** null where the library cannot be loaded. */
export function accurateDecoder(): JpegDecoder | null {
  const library = loadLibrary();
  if (!library) return null;
  const init = library.func('void *tj3Init(int)') as (kind: number) => unknown;
  const set = library.func('int tj3Set(void *, int, int)') as (handle: unknown, name: number, value: number) => number;
  const get = library.func('int tj3Get(void *, int)') as (handle: unknown, name: number) => number;
  const readHeader = library.func('int tj3DecompressHeader(void *, const uint8_t *, size_t)') as (handle: unknown, bytes: Buffer, length: number) => number;
  const decompress = library.func('int tj3Decompress8(void *, const uint8_t *, size_t, uint8_t *, int, int)') as (
    ...of: [handle: unknown, bytes: Buffer, length: number, pixels: Buffer, pitch: number, format: number]
  ) => number;
  const complaint = library.func('const char *tj3GetErrorStr(void *)') as (handle: unknown) => string;
  const handle = init(decompressing);
  if (!handle) return null;
  for (const [name, value] of [[parameter.stopOnWarning, 1], [parameter.fastUpsample, 0], [parameter.fastDct, 0]] as const) set(handle, name, value);

  function must(status: number): void {
    if (status !== 0) throw new RangeError(complaint(handle));
  }
  return {
    accurate: true,
    decode(bytes, pixels, size) {
      must(readHeader(handle, bytes, bytes.length));
      // It writes as many pixels as it finds: a size other than the caller's would be written over what lies behind.
      checkSize({ width: get(handle, parameter.width), height: get(handle, parameter.height) }, size);
      if (pixels.length < size.width * size.height * 3) throw new RangeError(`${pixels.length} bytes are no room for ${size.width} x ${size.height}`);
      must(decompress(handle, bytes, bytes.length, pixels, 0, rgb));
    },
  };
}

export function bindingDecoder(): JpegDecoder {
  return {
    accurate: false,
    decode(bytes, pixels, size) {
      checkSize(jpeg.decompressSync(bytes, pixels, { format: jpeg.FORMAT_RGB }), size);
    },
  };
}

function checkSize(found: Size, size: Size): void {
  if (found.width !== size.width || found.height !== size.height) throw new RangeError(`it is ${found.width} x ${found.height}`);
}

function loadLibrary(): ReturnType<typeof koffi.load> | null {
  const folder = join(dirname(createRequire(import.meta.url).resolve('@julusian/jpeg-turbo')), 'prebuilds');
  // Of another C library than this system's it cannot be loaded, so the right one is the one that can.
  for (const flavour of ['', '-musl']) {
    try {
      return koffi.load(join(folder, `jpeg-turbo-${process.platform}-${process.arch}${flavour}`, 'libturbojpeg.so.0'));
    } catch {
      // The next, or none.
    }
  }
  return null;
}
