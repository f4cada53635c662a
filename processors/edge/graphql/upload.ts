/**
 * Files beside a document, as clients of GraphQL send them: `operations` with a null for each file, `map` of which file belongs where, and
 * the files (the GraphQL multipart request specification, github.com/jaydenseric/graphql-multipart-request-spec).
 */
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { SaccadeError } from '../../../connectors/errors.ts';
import { filesWithin, type ReadFile, refused } from '../upload.ts';

export interface UploadLimits {
  /** Of one file, and of all of them together. */
  readonly fileBytes: number;
  readonly totalBytes: number;
  /** Of `operations`, and of `map`. */
  readonly textBytes: number;
}

/** As many as a document may ask about, by what it costs (limits.ts). */
const mostFiles = 10;

/** What stands in the variables for a file: nothing that JSON can say is one, and a message that quotes it does not quote the picture. */
const files = new WeakMap<object, Buffer>();

/** The bytes of a value of the type Upload; undefined: it is none. */
export const fileOf = (value: unknown): Buffer | undefined => (typeof value === 'object' && value !== null ? files.get(value) : undefined);

const bad = (what: string): SaccadeError => new SaccadeError('bad_request', what);
const mapSchema = z.record(z.string().max(100), z.array(z.string().max(200)).min(1).max(mostFiles));

const binary = { type: 'string', format: 'binary' } as const;

/** The form, for the document, as JSON Schema; `operations` is what the body is otherwise. */
export const formOf = (operations: z.ZodType) => ({
  schema: {
    type: 'object',
    description: 'The fields in this order, then the files, each under its name in `map`.',
    properties: {
      operations: { description: 'As the body would be, with a null in the variables for each file.', ...jsonSchemaOf(operations) },
      map: { description: 'Where each file belongs: `{"0": ["variables.file"]}`.', ...jsonSchemaOf(mapSchema) },
      0: binary,
    },
    additionalProperties: binary,
    required: ['operations', 'map'],
  },
});

function jsonSchemaOf(schema: z.ZodType): Readonly<Record<string, unknown>> {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  return rest;
}

type Put = (file: object) => void;

/** The body as one of JSON would have been, the files in their places. Throws bad_request, payload_too_large. */
export async function operationsOf(request: FastifyRequest, limits: UploadLimits): Promise<unknown> {
  return readForm(request, limits, filesWithin(request, limits.totalBytes, 'files')).catch(refused(request));
}

async function readForm(request: FastifyRequest, limits: UploadLimits, read: ReadFile): Promise<unknown> {
  let operations: unknown;
  let places: Map<string, readonly Put[]> | undefined;
  // A field more than there may be, so that the refusal is ours to word.
  const bounds = { fileSize: limits.fileBytes, fieldSize: limits.textBytes, fields: 3, files: mostFiles, parts: mostFiles + 3 };
  for await (const part of request.parts({ limits: bounds })) {
    if (part.type === 'field') {
      if (part.valueTruncated) throw new SaccadeError('payload_too_large', `${part.fieldname.slice(0, 80)} may have ${limits.textBytes} bytes.`);
      // In this order, so that no file is read that nobody asked for.
      if (part.fieldname === 'operations' && operations === undefined) operations = json(part.value, 'operations');
      else if (part.fieldname === 'map' && operations !== undefined && places === undefined) places = placesOf(json(part.value, 'map'), operations);
      else throw bad(`The form has the fields operations and map, once each and in this order, then the files; '${part.fieldname.slice(0, 80)}' is not expected here.`);
      continue;
    }
    const puts = places?.get(part.fieldname);
    if (!puts) throw bad(`The map names no file '${part.fieldname.slice(0, 80)}'${places ? ', or it has come already' : ' before it comes'}.`);
    places!.delete(part.fieldname);
    const content = await read(part);
    if (part.file.truncated) throw new SaccadeError('payload_too_large', `A file may have ${limits.fileBytes} bytes.`);
    const file = Object.freeze({});
    files.set(file, content);
    for (const put of puts) put(file);
  }
  if (!places) throw bad(`The form has no field ${operations === undefined ? 'operations' : 'map'}.`);
  const [missing] = places.keys();
  if (missing !== undefined) throw bad(`The map names the file '${missing}', which has not come.`);
  return operations;
}

/** A field that says that it is JSON has been parsed. */
function json(value: unknown, name: string): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    throw bad(`${name} is not JSON.`);
  }
}

function placesOf(map: unknown, operations: unknown): Map<string, readonly Put[]> {
  if (Array.isArray(operations)) throw bad('operations is a list; one operation is answered at a time.');
  const parsed = mapSchema.safeParse(map);
  if (!parsed.success) throw bad(`map names for each file where it belongs, such as {"0": ["variables.file"]}, ${mostFiles} places at most.`);
  return new Map(Object.entries(parsed.data).map(([name, paths]) => [name, paths.map((path) => placeOf(operations, path))]));
}

function placeOf(operations: unknown, path: string): Put {
  const steps = path.split('.');
  const last = steps.pop()!;
  const holder = steps.reduce(own, operations);
  if (steps[0] !== 'variables' || own(holder, last) !== null) throw bad(`map: '${path}' is not a null within the variables of operations.`);
  return (file) => void ((holder as Record<string, unknown>)[last] = file);
}

const own = (value: unknown, key: string): unknown => (typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined);
