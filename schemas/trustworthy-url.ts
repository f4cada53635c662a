import { isThisMachine } from './this-machine.ts';

/** HTTPS, or a server on this very machine: whoever is on the way to another could say what it likes. */
export function isTrustworthy(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return protocol === 'https:' || (protocol === 'http:' && isThisMachine(hostname));
}
