/** The optional headers of a plain image in frames.in. Each is checked: a wrong one is the producer's to fix, not ours to guess. */
import { SaccadeError } from '../../connectors/errors.ts';
import type { Headers } from '../../connectors/ports.ts';
import type { FrameIn } from '../../schemas/records.ts';

/** The year 9999: above it a number is not milliseconds. */
const latestMs = 253_402_300_799_999;

function integer(headers: Headers, name: string, max: number): number | null {
  const text = headers[name];
  if (text === undefined || text === '') return null;
  const value = Number(text);
  if (!/^\d{1,16}$/.test(text) || value > max) {
    throw new SaccadeError('invalid_field', `Header ${name} is '${text.slice(0, 40)}'; a whole number of at most ${max} is expected.`);
  }
  return value;
}

function names(headers: Headers): string[] | null {
  const text = headers.models;
  if (text === undefined || text.trim() === '') return null;
  return text.split(',').map((name) => name.trim());
}

/** Throws invalid_field naming the header. */
export function describePlainImage(image: Buffer, headers: Headers): FrameIn {
  return {
    image,
    id: headers.id ? headers.id.slice(0, 512) : null,
    sequence: integer(headers, 'sequence', Number.MAX_SAFE_INTEGER),
    captured_at: integer(headers, 'captured_at', latestMs),
    models: names(headers),
    deadline: integer(headers, 'deadline', latestMs),
  };
}
