/** What became of a frame. */
import { z } from 'zod';
import { answerSchema } from './answer.ts';
import { problemSchema } from './problem.ts';

export const outcomeSchema = z
  .object({
    model: z.string(),
    status: z.enum(['ok', 'dropped', 'dead_lettered', 'pending']),
    answer: answerSchema.optional().describe('With the status ok.'),
    error: problemSchema.optional().describe('Why there is none.'),
  })
  .meta({ id: 'Outcome' });

export const resultSchema = z.object({ id: z.uuid(), status: z.enum(['done', 'pending']), outcomes: z.array(outcomeSchema).describe('One for each model asked.') }).meta({ id: 'Result' });

export type Outcome = z.infer<typeof outcomeSchema>;
export type Result = z.infer<typeof resultSchema>;
