/** Cuts a stream of concatenated JPEGs (Motion JPEG as ffmpeg's image2pipe writes it) into pictures. */

const MARKER = 0xff;
const START = 0xd8;
const END = 0xd9;
const SCAN = 0xda;

/** Markers without a segment: TEM and RST0..RST7. Any other but SOI and EOI is followed by a segment that gives its length. */
const isBare = (code: number): boolean => code === 0x01 || isRestart(code);
const isRestart = (code: number): boolean => code >= 0xd0 && code <= 0xd7;

type State =
  | 'outside'
  | 'outside after ff'
  | 'before marker'
  | 'marker'
  | 'length, high byte'
  | 'length, low byte'
  | 'segment'
  | 'scan'
  | 'scan after ff';

/**
 * Feed it chunks cut anywhere; it answers the pictures each completes, from SOI to EOI inclusive (ITU-T T.81, annex B).
 *
 * Searching for SOI and EOI alone would cut a picture at the thumbnail inside its EXIF segment, so segments are skipped by
 * their length. Bytes between pictures, and a picture beyond `maxBytes`, are thrown away: the stream recovers at the next SOI.
 */
export function jpegSplitter(maxBytes = 32 * 1024 * 1024): (chunk: Buffer) => Buffer[] {
  let state: State = 'outside';
  let scanFollows = false;
  let left = 0; // bytes of the segment still to come
  let pieces: Buffer[] = []; // of the picture under way, from earlier chunks
  let held = 0;

  const forget = (): void => {
    state = 'outside';
    pieces = [];
    held = 0;
  };
  const segmentEnd = (): State => (scanFollows ? 'scan' : 'before marker');

  return (chunk) => {
    const whole: Buffer[] = [];
    let begin = 0; // where the picture under way begins in this chunk
    let at = 0;

    const finish = (): void => {
      // concat copies, so a kept picture does not keep the stream's chunks alive.
      whole.push(Buffer.concat([...pieces, chunk.subarray(begin, at)]));
      forget();
    };
    const marker = (code: number): void => {
      scanFollows = code === SCAN;
      if (code === END) finish();
      else if (code === START) forget(); // the picture before was cut off
      else if (code === MARKER) state = 'marker'; // a fill byte
      else state = isBare(code) ? 'before marker' : 'length, high byte';
    };
    const skipToMarker = (next: State): void => {
      const found = chunk.indexOf(MARKER, at);
      at = found < 0 ? chunk.length : found + 1;
      if (found >= 0) state = next;
    };

    while (at < chunk.length) {
      if (state === 'outside') skipToMarker('outside after ff');
      else if (state === 'scan') skipToMarker('scan after ff');
      else if (state === 'segment') {
        const step = Math.min(left, chunk.length - at);
        at += step;
        left -= step;
        if (left === 0) state = segmentEnd();
      } else {
        const byte = chunk[at++]!;
        switch (state) {
          case 'outside after ff':
            if (byte === START) {
              // SOI may be split over two chunks, so it is written anew instead of taken from them.
              pieces = [Buffer.of(MARKER, START)];
              held = 2;
              begin = at;
              state = 'before marker';
            } else if (byte !== MARKER) state = 'outside';
            break;
          case 'before marker':
            if (byte === MARKER) state = 'marker';
            else forget();
            break;
          case 'marker':
            marker(byte);
            break;
          case 'length, high byte':
            left = byte << 8;
            state = 'length, low byte';
            break;
          case 'length, low byte':
            left = (left | byte) - 2; // the length counts its own two bytes
            if (left < 0) forget();
            else state = left === 0 ? segmentEnd() : 'segment';
            break;
          case 'scan after ff':
            // ff 00 is a stuffed byte of the scan itself.
            if (byte === 0 || isRestart(byte)) state = 'scan';
            else marker(byte);
            break;
        }
      }
    }

    if (state !== 'outside' && state !== 'outside after ff') {
      pieces.push(chunk.subarray(begin));
      held += chunk.length - begin;
      if (held > maxBytes) forget();
    }
    return whole;
  };
}
