/** RFC 9457 problem+json, as every refusal is. */
import { z } from 'zod';

export const problemSchema = z
  .object({
    type: z.string().describe('urn:saccade:error: and the code'),
    title: z.string(),
    status: z.int(),
    code: z.string().describe('What a program decides by.'),
    detail: z.string().optional().describe('What was wrong this time.'),
    errors: z
      .array(z.object({ field: z.string().describe('Where it stands, such as query.limit or body.images.0.'), message: z.string() }))
      .optional()
      .describe('Every field at fault, where a request is not what its schema says.'),
    result: z.string().optional().describe('Where the outcome of an accepted frame will be, although its answer did not come in time.'),
  })
  .meta({ id: 'Problem' });

export type Problem = z.infer<typeof problemSchema>;
