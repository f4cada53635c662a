import type { Size } from '../region.ts';
import { isSrgb } from './srgb.ts';

/** What whoever decodes has to know beforehand. */
export interface FastSize extends Size {
  /** There is luma alone; else YCbCr. */
  readonly grey?: boolean;
}

export interface PlainJpeg extends FastSize {
  readonly grey: boolean;
  /** There is an EXIF block, which may say that the picture has to be turned. */
  readonly exif: boolean;
}

const marker = { sof0: 0xc0, dht: 0xc4, sos: 0xda, dqt: 0xdb, dri: 0xdd, app0: 0xe0, app1: 0xe1, app2: 0xe2, app14: 0xee, app15: 0xef, com: 0xfe };
/** Luma's sampling (4:4:4, 4:2:2, 4:4:0, 4:2:0); chroma is 1 x 1. */
const sampling = new Set([0x11, 0x21, 0x12, 0x22]);

/**
 * What cameras and browsers write nearly always: baseline, 8 bits, YCbCr of three components in one scan or luma alone, and
 * no colour profile but one that means sRGB. null for everything else, and at the first byte that is not quite as the specification (ITU-T T.81) has it:
 * whoever decodes by this header must find the same size, so nothing is guessed. Reads the header alone.
 */
export function plainJpeg(bytes: Buffer): PlainJpeg | null {
  let frame: (Size & { readonly grey: boolean }) | null = null;
  let exif = false;
  let profile: Buffer | null = null;
  if (bytes.length < 4 || bytes.readUInt16BE(0) !== 0xffd8) return null;
  for (let at = 2; at + 4 <= bytes.length; ) {
    if (bytes[at] !== 0xff) return null;
    const kind = bytes[at + 1]!;
    const end = at + 2 + bytes.readUInt16BE(at + 2);
    if (end < at + 4 || end > bytes.length) return null;
    const body = bytes.subarray(at + 4, end);
    const begins = (text: string): boolean => body.toString('latin1', 0, text.length) === text;
    if (kind === marker.sos) {
      if (!frame || body[0] !== (frame.grey ? 1 : 3)) return null;
      // A profile of grey is a curve of its own.
      return profile && (frame.grey || !isSrgb(profile)) ? null : { ...frame, exif };
    }
    if (kind === marker.sof0) {
      if (frame) return null;
      frame = frameOf(body);
      if (!frame) return null;
    } else if (kind === marker.app1) {
      exif ||= begins('Exif\0');
    } else if (kind === marker.app2) {
      if (begins('ICC_PROFILE\0')) {
        // The first and only part: those of sRGB are small.
        if (profile || body[12] !== 1 || body[13] !== 1) return null;
        profile = body.subarray(14);
      }
    } else if (kind === marker.app14) {
      // Adobe's word on the colours: 1 is YCbCr.
      if (begins('Adobe') && body[11] !== 1) return null;
    } else if (!isIndifferent(kind)) {
      return null;
    }
    at = end;
  }
  return null;
}

const tables = new Set([marker.dht, marker.dqt, marker.dri, marker.com]);
const isIndifferent = (kind: number): boolean => tables.has(kind) || (kind >= marker.app0 && kind <= marker.app15);

function frameOf(body: Buffer): (Size & { readonly grey: boolean }) | null {
  const components = body[5];
  if (body[0] !== 8 || (components !== 1 && components !== 3) || body.length !== 6 + 3 * components) return null;
  const [height, width] = [body.readUInt16BE(1), body.readUInt16BE(3)];
  const parts = Array.from({ length: components }, (_, i) => ({ id: body[6 + 3 * i], factors: body[7 + 3 * i]! }));
  const usual = parts.every(({ id, factors }, i) => id === i + 1 && (i === 0 ? sampling.has(factors) : factors === 0x11));
  return usual && width > 0 && height > 0 ? { width, height, grey: components === 1 } : null;
}
