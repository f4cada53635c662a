/** The image of a request: the multipart field `image`, or the body itself. */
import multipart, { type MultipartFile } from '@fastify/multipart';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { SaccadeError } from '../../connectors/errors.ts';

const picture = { type: 'string', format: 'binary' } as const;
const raw = { schema: picture } as const;
const fields = (properties: Readonly<Record<string, unknown>>) => ({ schema: { type: 'object', properties, required: Object.keys(properties) } }) as const;

/** Images of one request. */
export const mostImages = 128;

/** What the routes read, for the document. */
export const uploads = {
  one: { 'image/jpeg': raw, 'image/png': raw, 'image/webp': raw, 'application/octet-stream': raw, 'multipart/form-data': fields({ image: picture }) },
  many: { 'multipart/form-data': fields({ images: { type: 'array', items: picture, minItems: 1, maxItems: mostImages } }) },
} as const;

/** For the routes of this scope: multipart and raw images up to `maxBytes`; anything else is refused with 415 before it is read. */
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
  const image = await formField(request).catch(refused(request));
  if (!image) throw new SaccadeError('bad_request', 'The multipart form has no file field named image.');
  return image;
}

/** What a form is refused for: Fastify's own refusals have a code; what the parser says of a broken form has none. */
export const refused = (request: FastifyRequest) => (error: Error & { code?: string }): never => {
  // The rest of it is read, to nobody: a client may look for the answer only when it has sent all, and nothing else comes by its connection before.
  request.raw.unpipe();
  request.raw.resume();
  throw error.code ? error : new SaccadeError('bad_request', `The multipart form is malformed: ${error.message}.`);
};

/** Reads a file of a form. Throws payload_too_large. */
export type ReadFile = (part: MultipartFile) => Promise<Buffer>;

/**
 * Reads the files of a form, whose bytes are counted as they come: no more is held than so many, be it said how long the form is or not.
 * `what` they are. Throws payload_too_large at once where the form itself says that they are more.
 */
export function filesWithin(request: FastifyRequest, maxBytes: number, what: string): ReadFile {
  let bytes = Number(request.headers['content-length'] ?? 0);
  const check = (): void => {
    if (bytes > maxBytes) throw new SaccadeError('payload_too_large', `The ${what} of one request may have ${maxBytes} bytes together.`);
  };
  check();
  bytes = 0;
  return async ({ file }) => {
    const chunks: Buffer[] = [];
    for await (const chunk of file as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      check();
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  };
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

/**
 * The images of a form, in its order; one that is too large is an error in its place. Throws bad_request, and
 * payload_too_large when all of them together are more than `maxBytes`.
 */
export async function imagesOf(request: FastifyRequest, maxBytes: number): Promise<(Buffer | SaccadeError)[]> {
  if (!request.isMultipart()) throw new SaccadeError('unsupported_media_type', 'Send multipart/form-data with the field images, once for each image.');
  const images = await formFields(request, filesWithin(request, maxBytes, 'images')).catch(refused(request));
  if (images.length === 0) throw new SaccadeError('bad_request', 'The multipart form has no file field named images.');
  return images;
}

async function formFields(request: FastifyRequest, read: ReadFile): Promise<(Buffer | SaccadeError)[]> {
  const images: (Buffer | SaccadeError)[] = [];
  // One more than are allowed, so that the refusal is ours to word. A file above its limit would end the whole form by an
  // error otherwise; the plug-in knows the option, its types do not.
  const rules = { throwFileSizeLimit: false, limits: { files: mostImages + 1, parts: mostImages + 9 } };
  for await (const part of request.parts(rules)) {
    if (part.type !== 'file') continue;
    // Left out in silence, it would shift the answers of all that follow.
    if (part.fieldname !== 'images' && part.fieldname !== 'image') throw new SaccadeError('bad_request', `The file field is named '${part.fieldname.slice(0, 80)}'; images is expected.`);
    if (images.length === mostImages) throw new SaccadeError('bad_request', `There are more than ${mostImages} images.`);
    const image = await read(part);
    images.push(part.file.truncated ? new SaccadeError('payload_too_large') : image);
  }
  return images;
}
