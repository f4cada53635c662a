/** What has been seen: a page of predictions. */
import { z } from 'zod';
import { answerSchema } from './answer.ts';
import { problemSchema } from './problem.ts';
import { fraction, instant, wholeNumber } from './query.ts';

export const statuses = ['ok', 'dropped', 'dead_lettered'] as const;
export const mostOnAPage = 500;

const name = z.string().min(1).max(256);

/** Strict: a filter with a typing error must not answer with everything. */
export const historyQuerySchema = z.strictObject({
  source: name.optional(),
  model: name.optional(),
  label: name.optional().describe('Among its labels or boxes.'),
  status: z.enum(statuses).optional(),
  min_score: fraction.optional().describe('Of the best answer; with a label, of that label.'),
  since: instant.optional().describe('Captured at this time or later.'),
  until: instant.optional().describe('Captured before this time.'),
  limit: wholeNumber(1, mostOnAPage).default(50),
  cursor: z.string().max(256).optional().describe('`next` of the page before.'),
});

export const seenSchema = z
  .object({
    id: z.uuid(),
    frame_id: z.uuid(),
    source: z.string(),
    sequence: z.int().nullable(),
    captured_at: z.iso.datetime(),
    completed_at: z.iso.datetime(),
    latency_ms: z.number().describe('Captured to completed.'),
    model: z.string(),
    status: z.enum(statuses),
    answer: answerSchema.optional().describe('With the status ok.'),
    error: problemSchema.optional().describe('Why there is none.'),
    stage: z.string().optional().describe('Where it ended without one.'),
    trace_id: z.string().nullable(),
  })
  .meta({ id: 'Seen' });

export const historySchema = z.object({ items: z.array(seenSchema), next: z.string().nullable().describe('The cursor of the next page; null: there is none.') }).meta({ id: 'History' });

export type HistoryQuery = z.infer<typeof historyQuerySchema>;
export type Seen = z.infer<typeof seenSchema>;
export type History = z.infer<typeof historySchema>;
