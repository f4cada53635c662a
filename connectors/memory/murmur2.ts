/**
 * Which partition a key belongs to: murmur2 (Austin Appleby, 32 bits) with the seed and the sign handling of Kafka's Java
 * client, so that a key lies in the same partition whichever log and whichever client wrote it.
 */
const seed = 0x9747b28c;
const m = 0x5bd1e995;
const r = 24;

/** The 32-bit hash as a signed integer, as Java has it. */
export function murmur2(data: Uint8Array): number {
  let hash = seed ^ data.length;
  const whole = data.length & ~3;
  for (let i = 0; i < whole; i += 4) {
    let k = byte(data, i) | (byte(data, i + 1) << 8) | (byte(data, i + 2) << 16) | (byte(data, i + 3) << 24);
    k = Math.imul(k, m);
    k ^= k >>> r;
    hash = Math.imul(hash, m) ^ Math.imul(k, m);
  }
  const rest = data.length - whole;
  if (rest >= 3) hash ^= byte(data, whole + 2) << 16;
  if (rest >= 2) hash ^= byte(data, whole + 1) << 8;
  if (rest >= 1) hash = Math.imul(hash ^ byte(data, whole), m);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, m);
  return hash ^ (hash >>> 15);
}

export const partitionOfKey = (key: Uint8Array, partitions: number): number => (murmur2(key) & 0x7fffffff) % partitions;

const byte = (data: Uint8Array, at: number): number => data[at] ?? 0;
