/** The image of a request: the multipart field `image`, or the body itself. */
import multipart from '@fastify/multipart';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { SaccadeError } from '../../connectors/errors.ts';

/** Accepts multipart and raw image bodies up to `maxBytes`; anything else is refused with 415 before it is read. */
export async function installUploads(app: FastifyInstance, maxBytes: number): Promise<void> {
  // Fastify reads text and JSON unless told not to; an image is in neither.
  app.removeAllContentTypeParsers();
  await app.register(multipart, { limits: { fileSize: maxBytes, files: 1, fields: 8, fieldSize: 1024, parts: 9, headerPairs: 64 } });
  for (const type of [/^image\//, 'application/octet-stream']) {
    app.addContentTypeParser(type, { parseAs: 'buffer', bodyLimit: maxBytes }, (_request, body, done) => done(null, body));
  }
}

/** Throws bad_request, payload_empty, payload_too_large. */
export async function imageOf(request: FastifyRequest): Promise<Buffer> {
  if (!request.isMultipart()) {
    if (!Buffer.isBuffer(request.body)) throw new SaccadeError('payload_empty', 'Send the image as the body or as the multipart field image.');
    return request.body;
  }
  const image = await formField(request).catch((error: Error & { code?: string }) => {
    // Fastify's own refusals have a code; what the parser says of a broken form has none.
    throw error.code ? error : new SaccadeError('bad_request', `The multipart form is malformed: ${error.message}.`);
  });
  if (!image) throw new SaccadeError('bad_request', 'The multipart form has no file field named image.');
  return image;
}

async function formField(request: FastifyRequest): Promise<Buffer | null> {
  let image: Buffer | null = null;
  for await (const part of request.parts()) {
    if (part.type !== 'file') continue;
    if (part.fieldname === 'image') image = await part.toBuffer();
    else part.file.resume();
  }
  return image;
}
