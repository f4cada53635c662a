/** A token for whoever scrapes metrics: in no database, so that a process without an edge can check it too. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Authenticate, Principal } from '../edge/principal.ts';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** It opens GET /metrics and nothing else. */
export function withMetricsToken(authenticate: Authenticate, token: string | undefined, home: string): Authenticate {
  if (token === undefined) return authenticate;
  const scraper: Principal = { id: 'metrics', tenant: home, role: 'viewer', kind: 'token', home: true, plan: 'unlimited' };
  const right = digest(`Bearer ${token}`);
  return async (request) =>
    request.routeOptions.url === '/metrics' && timingSafeEqual(digest(request.headers.authorization ?? ''), right) ? scraper : authenticate(request);
}
