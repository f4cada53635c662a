/** An answer to several pictures: one item for each, in their order. */
import { z } from 'zod';
import { acceptedSchema, answerSchema } from './answer.ts';
import { problemSchema } from './problem.ts';

export const batchItemSchema = z
  .object({
    index: z.int().min(0).describe('Of the picture in the request.'),
    answer: answerSchema.optional(),
    accepted: acceptedSchema.optional().describe('With wait=0.'),
    error: problemSchema.optional().describe('What was wrong with this picture; its neighbours are answered all the same.'),
  })
  .meta({ id: 'BatchItem' });

export const batchSchema = z.object({ items: z.array(batchItemSchema), errors: z.int().min(0).describe('Items with an error.') }).meta({ id: 'Batch' });

export type BatchItem = z.infer<typeof batchItemSchema>;
export type Batch = z.infer<typeof batchSchema>;
