/** Random numbers that are the same in every process and for ever: what is projected with them today is compared next month. */

/** Uniform in 0..1. Source: mulberry32, Tommy Ettinger, public domain algorithm of 32 bits of state. */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Standard normal, by Box and Muller. */
export function normal(seed: number): () => number {
  const next = uniform(seed);
  // 1 − u: never the logarithm of 0.
  return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}
