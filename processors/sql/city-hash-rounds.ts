/**
 * The rounds of CityHash128 over long inputs, 64 bytes each. In BigInt they allocate at every step; here each number of 64 bits is
 * two halves in an array of 32-bit words, the lower first, so that the engine works on plain integers.
 */

/** By their place in the array. `b` and `t` are for what is on its way. */
const [x, y, z, v0, v1, w0, w1, b, t] = [0, 2, 4, 6, 8, 10, 12, 14, 16] as const;
const halves = new Int32Array(18);
const longs = new BigUint64Array(halves.buffer);
/** The multiplier 0xb492b66fbe98f273, in parts. */
const [k0, k1, kLow, kHigh] = [0xf273, 0xbe98, 0xbe98f273 | 0, 0xb492b66f | 0];

/** x, y, z, and the pairs v and w. */
export type State = readonly [bigint, bigint, bigint, bigint, bigint, bigint, bigint];

/** After as many rounds as the bytes are long enough for, two at a time. */
export function cityRounds(bytes: Uint8Array, state: State): State {
  const whole = bytes.length - (bytes.length % 128);
  // A copy: what is to be hashed may lie at any address.
  const words = new Int32Array(whole / 4);
  new Uint8Array(words.buffer).set(bytes.subarray(0, whole));
  longs.set(state);
  for (let at = 0; at < words.length; at += 32) {
    round(words, at, x, z);
    round(words, at + 16, z, x);
  }
  return [longs[0]!, longs[1]!, longs[2]!, longs[3]!, longs[4]!, longs[5]!, longs[6]!];
}

/** What is x and what is z change places with each. */
function round(words: Int32Array, at: number, one: number, other: number): void {
  add(one, halves, y);
  add(one, halves, v0);
  add(one, words, at + 4);
  rotate(one, 37);
  multiply(one);
  xor(one, w1);
  add(y, halves, v1);
  add(y, words, at + 12);
  rotate(y, 42);
  multiply(y);
  xor(y, v0);
  xor(other, w0);
  rotate(other, 33);
  multiply(v1);
  copy(b, one);
  add(b, halves, w0);
  weak32(v0, v1, words, at);
  add(w1, halves, other);
  copy(b, y);
  weak32(w0, w1, words, at + 8);
}

/** 32 bytes; the seeds are in `high` and `b`, and what comes out is a pair. */
function weak32(low: number, high: number, words: Int32Array, at: number): void {
  add(high, words, at);
  copy(low, high);
  add(low, words, at + 2);
  add(low, words, at + 4);
  add(b, words, at + 6);
  add(b, halves, high);
  rotate(b, 21);
  copy(t, low);
  rotate(t, 44);
  add(b, halves, t);
  add(low, words, at + 6);
  add(high, halves, b);
}

function copy(to: number, from: number): void {
  halves[to] = halves[from]!;
  halves[to + 1] = halves[from + 1]!;
}

function xor(to: number, of: number): void {
  halves[to]! ^= halves[of]!;
  halves[to + 1]! ^= halves[of + 1]!;
}

function add(to: number, of: Int32Array, at: number): void {
  const low = (halves[to]! >>> 0) + (of[at]! >>> 0);
  const carry = low > 0xffffffff ? 1 : 0;
  halves[to] = low;
  halves[to + 1] = halves[to + 1]! + of[at + 1]! + carry;
}

/** To the right, by neither 0, 32 nor 64. */
function rotate(to: number, by: number): void {
  const crossed = by >> 5;
  const low = halves[to + crossed]!;
  const high = halves[to + 1 - crossed]!;
  const n = by & 31;
  halves[to] = (low >>> n) | (high << (32 - n));
  halves[to + 1] = (high >>> n) | (low << (32 - n));
}

function multiply(to: number): void {
  const [low, high] = [halves[to]!, halves[to + 1]!];
  const [a0, a1] = [low & 0xffff, low >>> 16];
  // The upper half of low x kLow, from parts of 16 bits.
  const [p01, p10] = [Math.imul(a0, k1) >>> 0, Math.imul(a1, k0) >>> 0];
  const middle = (Math.imul(a0, k0) >>> 16) + (p01 & 0xffff) + (p10 & 0xffff);
  const upper = Math.imul(a1, k1) + (p01 >>> 16) + (p10 >>> 16) + (middle >>> 16);
  halves[to] = Math.imul(low, kLow);
  halves[to + 1] = upper + Math.imul(low, kHigh) + Math.imul(high, kLow);
}
