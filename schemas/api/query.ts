/** Values of a query string: text, read as what they stand for, and documented as that. */
import { z } from 'zod';

/** A whole number in digits: nothing else is taken for one, '' and 1e3 neither. */
export const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,16}$/, 'a whole number is expected')
    .transform(Number)
    .pipe(z.number().int().min(min).max(max))
    .meta({ type: 'integer', minimum: min, maximum: max });

/** A number from 0 to 1. */
export const fraction = z
  .string()
  .regex(/^\d+(\.\d+)?$/, 'a number from 0 to 1 is expected')
  .transform(Number)
  .pipe(z.number().min(0).max(1))
  .meta({ type: 'number', minimum: 0, maximum: 1 });

const latest = Date.UTC(2100, 0, 1);
const withOffset = z.iso.datetime({ offset: true });

/** Milliseconds since the epoch, or null for what is no time. */
function read(text: string): number | null {
  if (/^\d{1,13}$/.test(text)) return Number(text);
  return withOffset.safeParse(text).success ? Date.parse(text) : null;
}

/** ISO 8601 with its offset, or milliseconds since the epoch; read as the latter. */
export const instant = z
  .string()
  .max(40)
  .transform((text, context) => {
    const ms = read(text);
    if (ms !== null && ms >= 0 && ms <= latest) return ms;
    context.addIssue({ code: 'custom', message: 'a time from 1970 to 2100 such as 2026-01-31T12:00:00Z, or milliseconds since the epoch, is expected' });
    return z.NEVER;
  })
  .meta({ description: 'ISO 8601 with its offset, or milliseconds since the epoch.' });
