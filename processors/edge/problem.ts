/** RFC 9457 problem+json, made of the error table: nothing internal leaves in a body. */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { SaccadeError } from '../../connectors/errors.ts';

/** Fastify's own refusals in our terms. */
const byFastifyCode: Record<string, (error: FastifyError) => SaccadeError> = {
  FST_ERR_CTP_BODY_TOO_LARGE: () => new SaccadeError('payload_too_large'),
  FST_REQ_FILE_TOO_LARGE: () => new SaccadeError('payload_too_large'),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () =>
    new SaccadeError('unsupported_media_type', 'Send multipart/form-data with a field image, or the image itself as the body.'),
  FST_INVALID_MULTIPART_CONTENT_TYPE: () => new SaccadeError('unsupported_media_type', 'The multipart content type has no boundary.'),
};

function asProblem(error: unknown): SaccadeError {
  if (error instanceof SaccadeError) return error;
  const fault = error as FastifyError;
  const known = byFastifyCode[fault.code];
  if (known) return known(fault);
  if (fault.statusCode !== undefined && fault.statusCode >= 400 && fault.statusCode < 500) {
    return new SaccadeError(fault.statusCode === 413 ? 'payload_too_large' : 'bad_request', fault.message);
  }
  return new SaccadeError('internal', '', error);
}

export function sendProblem(reply: FastifyReply, error: SaccadeError, extra: Record<string, unknown> = {}): FastifyReply {
  if (error.status === 503) void reply.header('retry-after', '1');
  return reply
    .code(error.status)
    .type('application/problem+json')
    .send({
      type: `urn:saccade:error:${error.code}`,
      title: error.title,
      status: error.status,
      code: error.code,
      ...(error.detail === '' || error.code === 'internal' ? {} : { detail: error.detail }),
      ...extra,
    });
}

export function installProblems(app: FastifyInstance): void {
  app.setErrorHandler((error: unknown, request: FastifyRequest, reply) => {
    const problem = asProblem(error);
    if (problem.status >= 500 && problem.code === 'internal') request.log.error({ err: error }, 'request failed');
    return sendProblem(reply, problem);
  });
  app.setNotFoundHandler((request, reply) => sendProblem(reply, new SaccadeError('not_found', `${request.method} ${request.url.slice(0, 200)}`)));
}
