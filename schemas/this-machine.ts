/** What names this very machine, whoever asks: 127.0.0.0/8, ::1 and localhost. */
import { isIPv4 } from 'node:net';

/** `host` without a port; IPv6 with its brackets or without. */
export function isThisMachine(host: string): boolean {
  return /^(localhost|::1|\[::1\])$/i.test(host) || (isIPv4(host) && host.startsWith('127.'));
}

/** A name under localhost as well. A browser looks none of them up; another program may, so that one is nothing to connect to in trust. */
export const isThisMachineToBrowsers = (host: string): boolean => isThisMachine(host) || /^([a-z0-9-]+\.)+localhost$/i.test(host);

/** Of a Host header. */
export const withoutPort = (host: string): string => host.replace(/:\d+$/, '');
