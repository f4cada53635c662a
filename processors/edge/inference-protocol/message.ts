/** A request of the protocol taken apart: JSON, and behind it the bytes of its binary tensors. */
import { z } from 'zod';
import { SaccadeError } from '../../../connectors/errors.ts';
import { type InferInput, type InferRequest, inferRequestSchema } from '../../../schemas/api/inference-protocol.ts';
import { refuseSharedMemory } from './parameters.ts';

export interface TakenInput extends Omit<InferInput, 'data'> {
  readonly data: readonly unknown[] | null;
  /** Instead of `data`, where it is binary. */
  readonly bytes: Buffer | null;
}

export interface TakenRequest extends Omit<InferRequest, 'inputs'> {
  readonly inputs: readonly TakenInput[];
}

const refuse = (detail: string): never => {
  throw new SaccadeError('bad_request', detail);
};

/** `jsonLength`: the header Inference-Header-Content-Length; undefined: the body is JSON alone. Throws bad_request naming the field. */
export function takeRequest(body: Buffer, jsonLength: string | undefined): TakenRequest {
  const length = jsonLength === undefined ? body.length : /^\d{1,10}$/.test(jsonLength) ? Number(jsonLength) : Number.NaN;
  if (!(length <= body.length)) refuse(`header.inference-header-content-length: '${jsonLength!.slice(0, 40)}' is no length within a body of ${body.length} bytes.`);
  const { inputs, ...rest } = parse(body.subarray(0, length));
  let at = length;
  const taken = inputs.map((input): TakenInput => {
    const size = input.parameters?.binary_data_size;
    const { data, ...about } = input;
    refuseSharedMemory(input.parameters, `inputs.${input.name.slice(0, 40)}`);
    if (size === undefined) return data === undefined ? refuse(`inputs.${input.name}: it has neither data nor binary_data_size.`) : { ...about, data, bytes: null };
    if (data !== undefined) refuse(`inputs.${input.name}: it has both data and binary_data_size.`);
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0 || at + size > body.length) refuse(`inputs.${input.name}.parameters.binary_data_size: ${size} bytes are not there.`);
    return { ...about, data: null, bytes: body.subarray(at, (at += Number(size))) };
  });
  if (at !== body.length) refuse(`${body.length - at} bytes follow the last input.`);
  return { ...rest, inputs: taken };
}

function parse(json: Buffer): InferRequest {
  let value: unknown;
  try {
    value = JSON.parse(json.toString());
  } catch {
    return refuse('The body is not JSON; a binary one needs the header Inference-Header-Content-Length.');
  }
  const parsed = inferRequestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  return refuse(parsed.error.issues.map(({ path, message }) => `${z.core.toDotPath(path) || 'body'}: ${message}`).join('; '));
}
