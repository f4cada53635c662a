/** Which methods an address takes, for whoever asked by another one: 405 with Allow instead of 404 (RFC 9110, 15.5.6). */
import type { FastifyInstance } from 'fastify';

interface Place {
  readonly pattern: RegExp;
  readonly methods: Set<string>;
}

const literal = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** `/v1/results/:id` as what it matches; `*` is the rest. */
const patternOf = (url: string): RegExp => new RegExp(`^${url.split(/(:\w+|\*)/).map((part) => (part.startsWith(':') ? '[^/]+' : part === '*' ? '.*' : literal(part))).join('')}$`);

/** Before any route is added. Answers the methods of a path; none: nothing is there. */
export function methodsByPath(app: FastifyInstance): (path: string) => readonly string[] {
  const places = new Map<string, Place>();
  app.addHook('onRoute', ({ url, method }) => {
    // Every address there could be is none: so the preflights of other origins are answered.
    if (url === '*') return;
    const place = places.get(url) ?? { pattern: patternOf(url), methods: new Set<string>() };
    places.set(url, place);
    for (const one of [method].flat()) place.methods.add(one);
  });
  return (path) => [...new Set([...places.values()].flatMap(({ pattern, methods }) => (pattern.test(path) ? [...methods] : [])))].sort();
}
