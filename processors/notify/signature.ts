/** How a receiver knows that an alert comes from here, and is not an old one sent again by somebody else. */
import { createHmac, timingSafeEqual } from 'node:crypto';

/** `t=SECONDS,v1=HEX`: HMAC-SHA256 of the seconds, a dot and the body, under the secret. `at` in milliseconds since the epoch. */
export function signatureOf(body: string, secret: string, at: number): string {
  const seconds = Math.floor(at / 1000);
  return `t=${seconds},v1=${createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')}`;
}

/** What a receiver does: whether the body was signed with the secret, no longer than `withinMs` ago. */
export function isSigned(header: string, body: string, secret: string, now: number, withinMs = 300_000): boolean {
  const match = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/.exec(header);
  if (!match || Math.abs(now - Number(match[1]) * 1000) > withinMs) return false;
  return timingSafeEqual(Buffer.from(signatureOf(body, secret, Number(match[1]) * 1000)), Buffer.from(header));
}
