/**
 * CityHash128 of Google's CityHash 1.0.2, the checksum of ClickHouse's compressed blocks. Later versions of CityHash give other
 * values. After the description in its source: three cases by length, and long inputs in steps of 64 bytes, all modulo 2^64.
 */
import { cityRounds } from './city-hash-rounds.ts';

type Pair = readonly [low: bigint, high: bigint];

const [k0, k1, k2, k3] = [0xc3a5c85c97cb3127n, 0xb492b66fbe98f273n, 0x9ae16a3b2f90404fn, 0xc949d7c7509e6557n];
const multiplier = 0x9ddfea08eb382d69n;

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
/** Neither by 0 nor by 64. */
const rotate = (value: bigint, by: bigint): bigint => u64((value >> by) | (value << (64n - by)));
const shiftMix = (value: bigint): bigint => value ^ (value >> 47n);

function hash16(low: bigint, high: bigint): bigint {
  const a = shiftMix(u64((low ^ high) * multiplier));
  return u64(shiftMix(u64((high ^ a) * multiplier)) * multiplier);
}

function hashUpTo16(bytes: Buffer): bigint {
  const { length } = bytes;
  const n = BigInt(length);
  if (length > 8) {
    const [a, b] = [bytes.readBigUInt64LE(0), bytes.readBigUInt64LE(length - 8)];
    return hash16(a, rotate(u64(b + n), n)) ^ b;
  }
  if (length >= 4) return hash16(u64(n + (BigInt(bytes.readUInt32LE(0)) << 3n)), BigInt(bytes.readUInt32LE(length - 4)));
  if (length === 0) return k2;
  const y = BigInt(bytes[0]! + bytes[length >> 1]! * 256);
  const z = n + BigInt(bytes[length - 1]!) * 4n;
  return u64(shiftMix(u64(y * k2) ^ u64(z * k3)) * k2);
}

/** 32 bytes at `at`, with two seeds. */
function weak32(bytes: Buffer, at: number, seedA: bigint, seedB: bigint): Pair {
  const z = bytes.readBigUInt64LE(at + 24);
  const start = u64(seedA + bytes.readBigUInt64LE(at));
  const a = u64(start + bytes.readBigUInt64LE(at + 8) + bytes.readBigUInt64LE(at + 16));
  const b = u64(rotate(u64(seedB + start + z), 21n) + rotate(a, 44n));
  return [u64(a + z), u64(b + start)];
}

/** For less than 128 bytes. */
function murmur(bytes: Buffer, [low, high]: Pair): Pair {
  const { length } = bytes;
  let [a, b, c, d] = [low, high, 0n, 0n];
  if (length <= 16) {
    a = u64(shiftMix(u64(a * k1)) * k1);
    c = u64(b * k1 + hashUpTo16(bytes));
    d = shiftMix(u64(a + (length >= 8 ? bytes.readBigUInt64LE(0) : c)));
  } else {
    c = hash16(u64(bytes.readBigUInt64LE(length - 8) + k1), a);
    d = hash16(u64(b + BigInt(length)), u64(c + bytes.readBigUInt64LE(length - 16)));
    a = u64(a + d);
    for (let at = 0; at < length - 16; at += 16) {
      a = u64((a ^ u64(shiftMix(u64(bytes.readBigUInt64LE(at) * k1)) * k1)) * k1);
      b ^= a;
      c = u64((c ^ u64(shiftMix(u64(bytes.readBigUInt64LE(at + 8) * k1)) * k1)) * k1);
      d ^= c;
    }
  }
  a = hash16(a, c);
  b = hash16(d, b);
  return [a ^ b, hash16(b, a)];
}

function seeded(bytes: Buffer, seed: Pair): Pair {
  const { length } = bytes;
  if (length < 128) return murmur(bytes, seed);
  let [x, y] = seed;
  let z = u64(BigInt(length) * k1);
  const first = u64(rotate(y ^ k1, 49n) * k1 + bytes.readBigUInt64LE(0));
  let v: Pair = [first, u64(rotate(first, 42n) * k1 + bytes.readBigUInt64LE(8))];
  let w: Pair = [u64(rotate(u64(y + z), 35n) * k1 + x), u64(rotate(u64(x + bytes.readBigUInt64LE(88)), 53n) * k1)];
  const at = length - (length % 128);
  const after = cityRounds(bytes, [x, y, z, ...v, ...w]);
  [x, y, z] = after;
  v = [after[3], after[4]];
  w = [after[5], after[6]];
  y = u64(y + rotate(w[0], 37n) * k0 + z);
  x = u64(x + rotate(u64(v[0] + z), 49n) * k0);
  // What is left, by 32 from the end; the last step may look back into what was hashed before.
  for (let done = 32; done - 32 < length - at; done += 32) {
    const from = length - done;
    y = u64(rotate(u64(y - x), 42n) * k0 + v[1]);
    const low = u64(w[0] + bytes.readBigUInt64LE(from + 16));
    x = u64(rotate(x, 49n) * k0 + low);
    w = [u64(low + v[0]), w[1]];
    v = weak32(bytes, from, v[0], v[1]);
  }
  x = hash16(x, v[0]);
  y = hash16(y, w[0]);
  return [u64(hash16(u64(x + v[1]), w[1]) + y), hash16(u64(x + w[1]), u64(y + v[1]))];
}

/** As its 16 bytes lie in a block: the lower half first, each little-endian. */
export function cityHash128(bytes: Buffer): Buffer {
  const { length } = bytes;
  const [low, high] =
    length >= 16
      ? seeded(bytes.subarray(16), [bytes.readBigUInt64LE(0) ^ k3, bytes.readBigUInt64LE(8)])
      : length >= 8
        ? seeded(bytes.subarray(0, 0), [bytes.readBigUInt64LE(0) ^ u64(BigInt(length) * k0), bytes.readBigUInt64LE(length - 8) ^ k1])
        : seeded(bytes, [k0, k1]);
  const out = Buffer.allocUnsafe(16);
  out.writeBigUInt64LE(low, 0);
  out.writeBigUInt64LE(high, 8);
  return out;
}
