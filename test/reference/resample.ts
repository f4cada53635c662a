/** The picture that resample.py makes of numbers, so that no decoder takes part: RGB, width x height x 3. */
export function generated(width: number, height: number): Buffer {
  let state = 1;
  return Buffer.from(Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return i % 5 ? state >>> 24 : state >>> 31 ? 255 : 0;
  }));
}
