/** The refusals of a route, as its documentation lists them: made of the error table, so that the two cannot differ. */
import { type ErrorCode, SaccadeError } from '../../../connectors/errors.ts';
import { type Problem, problemSchema } from '../../../schemas/api/problem.ts';

/** Any route may answer these: a malformed request, who may not or not now, and a fault of ours. */
const everywhere: readonly ErrorCode[] = ['bad_request', 'unauthenticated', 'forbidden', 'rate_limited', 'metadata_unavailable', 'internal'];

interface Refusal {
  readonly description: string;
  readonly content: { readonly 'application/problem+json': { readonly schema: typeof problemSchema } };
}

/** Spread into a route's `response`: `{ 200: …, ...problems('not_found') }`. */
export function problems(...codes: readonly ErrorCode[]): Record<number, Refusal> {
  const byStatus = new Map<number, string[]>();
  for (const code of new Set([...everywhere, ...codes])) {
    const { status, title } = new SaccadeError(code);
    byStatus.set(status, [...(byStatus.get(status) ?? []), `\`${code}\`: ${title}`]);
  }
  const refusal = (lines: readonly string[]): Refusal => ({ description: lines.join('\n'), content: { 'application/problem+json': { schema: problemSchema } } });
  return Object.fromEntries([...byStatus].map(([status, lines]) => [status, refusal(lines)]));
}

export type { Problem };
