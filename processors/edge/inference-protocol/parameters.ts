/** What clients of Triton ask for in parameters: heeded, or refused by its name where an answer without it would be another one. */
import { SaccadeError } from '../../../connectors/errors.ts';
import type { InferRequest } from '../../../schemas/api/inference-protocol.ts';

type Parameters = InferRequest['parameters'];

/** Throws bad_request: the server is not on the client's machine, and would answer what lies in no memory. `at` names whose they are. */
export function refuseSharedMemory(parameters: Parameters, at: string): void {
  const name = Object.keys(parameters ?? {}).find((key) => key.startsWith('shared_memory_'));
  if (name !== undefined) throw new SaccadeError('bad_request', `${at}.parameters.${name}: there is no shared memory with this server; send and take the bytes.`);
}

/** How long the client waits, in milliseconds (`timeout` is microseconds, and 0 none); undefined: it does not say. Throws bad_request, for a sequence too: each request is one by itself here. */
export function timeoutOf({ parameters = {} }: Pick<InferRequest, 'parameters'>): number | undefined {
  const { sequence_id: sequence, timeout } = parameters;
  const partOf = (['sequence_start', 'sequence_end'] as const).find((name) => parameters[name] === true) ?? (sequence !== undefined && sequence !== 0 && sequence !== '' ? 'sequence_id' : undefined);
  if (partOf !== undefined) throw new SaccadeError('bad_request', `parameters.${partOf}: the models here keep no state from one request to the next.`);
  if (timeout === undefined || timeout === 0) return undefined;
  if (typeof timeout === 'number' && Number.isSafeInteger(timeout) && timeout > 0) return Math.ceil(timeout / 1000);
  throw new SaccadeError('bad_request', 'parameters.timeout: microseconds are expected, as a whole number.');
}
