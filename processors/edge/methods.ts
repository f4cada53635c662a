/** Which methods an address takes, for whoever asked by another one: 405 with Allow instead of 404 (RFC 9110, 15.5.6). */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { SaccadeError } from '../../connectors/errors.ts';

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

/** What is wrong with the address of a request that no route takes; where others take it, the reply says by which methods. */
export function nowhere({ method, url }: FastifyRequest, reply: FastifyReply, methodsOf: ReturnType<typeof methodsByPath>): SaccadeError {
  const methods = methodsOf(url.split('?', 1)[0]!);
  const asked = `${method} ${url.slice(0, 200)}`;
  if (methods.length === 0) return new SaccadeError('not_found', asked);
  void reply.header('allow', methods.join(', '));
  return new SaccadeError('method_not_allowed', `${asked}; it takes ${methods.join(', ')}.`);
}

/** Whether the address is what is wrong, whatever else is: nobody is there to take the request. */
export const isNowhere = (request: FastifyRequest, { status }: SaccadeError): boolean => request.is404 && status < 500 && status !== 429;
