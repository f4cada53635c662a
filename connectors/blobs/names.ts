/** Names of blobs come with records, and a record may have been written by anyone: none may lead out of the store. */
import { SaccadeError } from '../errors.ts';

const longest = 512;
const segment = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$/;

/** The name, if it is one or more segments of letters, digits, `.`, `_` and `-` joined by `/`. Throws invalid_field. */
export function safeName(name: string): string {
  if (name.length > longest || !name.split('/').every((part) => segment.test(part))) {
    throw new SaccadeError('invalid_field', 'Not the name of a blob.');
  }
  return name;
}
