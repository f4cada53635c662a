import type { Size } from '../region.ts';

export interface PlainJpeg extends Size {
  /** There is an EXIF block, which may say that the picture has to be turned. */
  readonly exif: boolean;
}

const marker = { sof0: 0xc0, dht: 0xc4, sos: 0xda, dqt: 0xdb, dri: 0xdd, app0: 0xe0, app1: 0xe1, app2: 0xe2, app14: 0xee, app15: 0xef, com: 0xfe };
/** Luma's sampling (4:4:4, 4:2:2, 4:4:0, 4:2:0); chroma is 1 x 1. */
const sampling = new Set([0x11, 0x21, 0x12, 0x22]);

/**
 * What cameras and browsers write nearly always: baseline, 8 bits, YCbCr of three components in one scan, no colour
 * profile. null for everything else, and at the first byte that is not quite as the specification (ITU-T T.81) has it:
 * whoever decodes by this header must find the same size, so nothing is guessed. Reads the header alone.
 */
export function plainJpeg(bytes: Buffer): PlainJpeg | null {
  let frame: Size | null = null;
  let exif = false;
  if (bytes.length < 4 || bytes.readUInt16BE(0) !== 0xffd8) return null;
  for (let at = 2; at + 4 <= bytes.length; ) {
    if (bytes[at] !== 0xff) return null;
    const kind = bytes[at + 1]!;
    const end = at + 2 + bytes.readUInt16BE(at + 2);
    if (end < at + 4 || end > bytes.length) return null;
    const body = bytes.subarray(at + 4, end);
    const begins = (text: string): boolean => body.toString('latin1', 0, text.length) === text;
    if (kind === marker.sos) return frame && body[0] === 3 ? { ...frame, exif } : null;
    if (kind === marker.sof0) {
      if (frame) return null;
      frame = frameOf(body);
      if (!frame) return null;
    } else if (kind === marker.app1) {
      exif ||= begins('Exif\0');
    } else if (kind === marker.app2) {
      if (begins('ICC_PROFILE\0')) return null;
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

function frameOf(body: Buffer): Size | null {
  if (body.length !== 15 || body[0] !== 8 || body[5] !== 3) return null;
  const [height, width] = [body.readUInt16BE(1), body.readUInt16BE(3)];
  const ids = [body[6], body[9], body[12]];
  const chroma = [body[10], body[13]];
  const usual = ids.every((id, i) => id === i + 1) && chroma.every((factors) => factors === 0x11) && sampling.has(body[7]!);
  return usual && width > 0 && height > 0 ? { width, height } : null;
}
