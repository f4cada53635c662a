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

/** ISO 8601 with its offset, or milliseconds since the epoch; read as the latter. */
export const instant = z
  .union([z.iso.datetime({ offset: true }).transform((text) => Date.parse(text)), z.string().regex(/^\d{1,13}$/).transform(Number)], {
    error: 'a time such as 2026-01-31T12:00:00Z, or milliseconds since the epoch, is expected',
  })
  .pipe(z.number().min(0, 'no time before 1970').max(latest, 'no time after 2100'))
  .meta({ description: 'ISO 8601 with its offset, or milliseconds since the epoch.' });
