/** What an orchestrator reads. */
import { z } from 'zod';

const byComponent = z.record(z.string(), z.string());

export const healthSchema = z.object({
  status: z.enum(['ok', 'stuck']),
  uptime_seconds: z.int(),
  stuck: byComponent.optional().describe('What stands still though nothing is known to keep it.'),
});

export const readySchema = z.object({
  status: z.enum(['ready', 'degraded', 'not_ready']),
  troubles: byComponent.optional().describe('What keeps the process from working.'),
  degraded: byComponent.optional().describe('What works, but not as it was asked to.'),
  waiting: byComponent.optional().describe('What waits for others to be done, and for how long: it is able to work all the same.'),
  unchecked: z.array(z.string()).optional().describe('Models whose answers were not tried: their cards name no golden image.'),
});
