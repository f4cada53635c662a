/** RFC 9457 problem+json, made of the error table: nothing internal leaves in a body. */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { type ErrorCode, SaccadeError } from '../../connectors/errors.ts';
import type { Problem } from '../../schemas/api/problem.ts';
import { parseTraceparent } from '../../schemas/trace-context.ts';
import { isNowhere, methodsByPath, nowhere } from './methods.ts';

export interface ProblemLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What these say in detail is for whoever sent the request; any other 5xx may name hosts, paths or code. */
const openDetails: ReadonlySet<ErrorCode> = new Set(['overloaded', 'not_ready', 'deadline_exceeded', 'secrets_unavailable']);
/** Errors of other 5xx codes whose detail was written for whoever asks. */
const written = new WeakSet<SaccadeError>();

/** The error, with its detail to be shown whatever its code: only for a sentence that names nothing internal. */
export function withOpenDetail(error: SaccadeError): SaccadeError {
  written.add(error);
  return error;
}

/** Refusals by design: the metrics count them, and a log of them would grow when there is least room. */
const expected: ReadonlySet<ErrorCode> = new Set(['overloaded', 'not_ready']);

/** Fastify's own refusals in our terms. */
const byFastifyCode: Record<string, (error: FastifyError) => SaccadeError> = {
  FST_ERR_CTP_BODY_TOO_LARGE: () => new SaccadeError('payload_too_large'),
  FST_REQ_FILE_TOO_LARGE: () => new SaccadeError('payload_too_large'),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () =>
    new SaccadeError('unsupported_media_type', 'Send multipart/form-data with a field image, or the image itself as the body.'),
  FST_FILES_LIMIT: () => new SaccadeError('bad_request', 'The form has more files than this address takes; several pictures go to /v1/batch_infer.'),
  FST_FIELDS_LIMIT: () => new SaccadeError('bad_request', 'The form has more fields than this address takes.'),
  FST_PARTS_LIMIT: () => new SaccadeError('bad_request', 'The form has more parts than this address takes.'),
  FST_INVALID_MULTIPART_CONTENT_TYPE: () => new SaccadeError('unsupported_media_type', 'The multipart content type has no boundary.'),
};

const parts: Record<string, string> = { querystring: 'query', params: 'path', headers: 'header', body: 'body' };

/** What a request has that its route's schema does not allow, field by field. */
function faultsOf(error: unknown): Problem['errors'] {
  if (!hasZodFastifySchemaValidationErrors(error)) return undefined;
  const part = parts[error.validationContext ?? ''] ?? 'request';
  return error.validation.map(({ instancePath, message }) => ({ field: [part, ...instancePath.split('/').filter((step) => step !== '')].join('.'), message: message ?? 'invalid' }));
}

/** Any thrown value as what it is answered with. */
export function asProblem(error: unknown): SaccadeError {
  if (error instanceof SaccadeError) return error;
  const faults = faultsOf(error);
  if (faults) return new SaccadeError('bad_request', faults.map(({ field, message }) => `${field}: ${message}`).join('; '));
  const fault = error as FastifyError;
  const known = byFastifyCode[fault.code];
  if (known) return known(fault);
  if (fault.statusCode !== undefined && fault.statusCode >= 400 && fault.statusCode < 500) {
    return new SaccadeError(fault.statusCode === 413 ? 'payload_too_large' : 'bad_request', fault.message);
  }
  return new SaccadeError('internal', '', error);
}

const closed = (error: SaccadeError): boolean => error.status >= 500 && !openDetails.has(error.code) && !written.has(error);

/** What the sender is told of it. */
export const problemBody = (error: SaccadeError, extra: Pick<Problem, 'errors' | 'result'> = {}): Problem => ({
  type: `urn:saccade:error:${error.code}`,
  title: error.title,
  status: error.status,
  code: error.code,
  ...(error.detail === '' || closed(error) ? {} : { detail: error.detail }),
  ...extra,
});

/** When whoever was refused with 503 may ask again. */
export const retryAfterSeconds = 1;

/** Headers that say what to do about a refusal. */
export function adviseBy(reply: FastifyReply, status: number): void {
  if (status === 503) void reply.header('retry-after', String(retryAfterSeconds));
  // Limits say when; of an address that was refused, the window is a minute.
  if (status === 429 && !reply.hasHeader('retry-after')) void reply.header('retry-after', '60');
  // Says how one proves who one is; without it a 401 is not one (RFC 9110, 11.6.1).
  if (status === 401) void reply.header('www-authenticate', 'Bearer realm="saccade"');
}

export function sendProblem(reply: FastifyReply, error: SaccadeError, extra: Pick<Problem, 'errors' | 'result'> = {}): FastifyReply {
  adviseBy(reply, error.status);
  return reply.code(error.status).type('application/problem+json').send(problemBody(error, extra));
}

/** The trace that the response names, else the one the caller gave. */
function traceIdOf(request: FastifyRequest, reply: FastifyReply): string | undefined {
  const header = reply.getHeader('traceparent') ?? request.headers.traceparent;
  return parseTraceparent(typeof header === 'string' ? header : undefined)?.traceId;
}

/** Without a log, failures go unrecorded. */
export function installProblems(app: FastifyInstance, log?: ProblemLog): void {
  const methodsOf = methodsByPath(app);
  app.setErrorHandler((error: unknown, request: FastifyRequest, reply) => {
    const problem = asProblem(error);
    if (isNowhere(request, problem)) return sendProblem(reply, nowhere(request, reply, methodsOf));
    if (log && problem.status >= 500 && !expected.has(problem.code)) {
      const fields = {
        code: problem.code,
        status: problem.status,
        route: `${request.method} ${request.routeOptions.url ?? 'unknown'}`,
        traceId: traceIdOf(request, reply),
        error: error instanceof Error ? error.message : String(error),
        err: error,
      };
      // The answer that came too late, or a neighbour away, is not a fault of this process.
      if (problem.status === 500) log.error(fields, 'request failed');
      else log.warn(fields, 'request failed');
    }
    const errors = faultsOf(error);
    return sendProblem(reply, problem, errors ? { errors } : {});
  });
  app.setNotFoundHandler((request, reply) => sendProblem(reply, nowhere(request, reply, methodsOf)));
}
