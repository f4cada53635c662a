/** Bytes that grow as they are written. */

export interface ByteSink {
  bytes: Buffer;
  at: number;
}

export const byteSink = (size: number): ByteSink => ({ bytes: Buffer.allocUnsafe(size), at: 0 });

/** Makes room for `more` bytes after `at`. */
export function ensure(out: ByteSink, more: number): void {
  if (out.at + more <= out.bytes.length) return;
  const bytes = Buffer.allocUnsafe(Math.max(out.bytes.length * 2, out.at + more));
  out.bytes.copy(bytes, 0, 0, out.at);
  out.bytes = bytes;
}

/** LEB128, of a whole number below 2^31. */
export function writeVarint(out: ByteSink, value: number): void {
  ensure(out, 5);
  let rest = value;
  while (rest > 127) {
    out.bytes[out.at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  out.bytes[out.at++] = rest;
}

/** Below it a loop over the characters is faster than the call into UTF-8 encoding. */
const shortString = 40;

export function writeString(out: ByteSink, text: string): void {
  const { length } = text;
  if (length <= shortString) {
    ensure(out, 1 + length);
    const { bytes } = out;
    let at = out.at;
    bytes[at++] = length;
    let i = 0;
    for (; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 127) break;
      bytes[at++] = code;
    }
    if (i === length) {
      out.at = at;
      return;
    }
  }
  const size = Buffer.byteLength(text);
  writeVarint(out, size);
  ensure(out, size);
  out.at += out.bytes.write(text, out.at);
}
