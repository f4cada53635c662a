/** Identities: the same frame and the same question always hash to the same id, so a repeat is recognised wherever it appears. */
import { createHash } from 'node:crypto';

/** SHA-256 of the parts, each with its length so that no two lists collide, as a version 8 UUID (RFC 9562, custom content). */
function uuidOf(...parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:${part}`);
  const bytes = hash.digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** A frame whose producer gave it an id of its own. */
export const frameIdFromProducer = (tenant: string, source: string, producerId: string): string =>
  uuidOf('producer', tenant, source, producerId);

/**
 * A frame of a request under an Idempotency-Key. The picture's SHA-256 (hex) is part of it: wherever nobody remembers that the key
 * was used, another picture under it would be answered as the earlier one, and take the place of its row.
 */
export const frameIdFromRequest = (tenant: string, source: string, key: string, picture: string): string =>
  uuidOf('request', tenant, source, key, picture);

/**
 * A frame without an id of its own, by its place in the log. The record's timestamp stands in for the topic id, which
 * kafkajs cannot ask for: a recreated topic counts its offsets from 0 again, but never at the same millisecond.
 */
export const frameIdFromOrigin = (origin: {
  cluster: string;
  topic: string;
  partition: number;
  offset: number;
  timestamp: number;
}): string =>
  uuidOf('origin', origin.cluster, origin.topic, `${origin.partition}`, `${origin.offset}`, `${origin.timestamp}`);

/** The version that answers is left out on purpose: one winner for each frame and model. */
export const predictionId = (frameId: string, model: string): string => uuidOf('prediction', frameId, model);

/** A window of drift: the same stretch of the same stream, whoever computes it and however often. `stream` is model@version. */
export const driftWindowId = (tenant: string, source: string, stream: string, span: string, start: number): string =>
  uuidOf('drift window', tenant, source, stream, span, `${start}`);

/** An alert, by the first window that showed it. */
export const alertId = (tenant: string, source: string, windowId: string): string => uuidOf('alert', tenant, source, windowId);
