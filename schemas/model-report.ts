/** What a process says of the models it serves, in the topic `models` under a key of its own: who loads or unloads one waits for that. */
import { z } from 'zod';
import { modelStates } from './model-control.ts';

const prefix = 'process/';
/** `reader`: as the group that follows the topic for the process is named. No model's name has a slash. */
export const reportKey = (reader: string): string => `${prefix}${reader}`;
export const isReportKey = (key: string): boolean => key.startsWith(prefix);
export const readerOfReport = (key: string): string => key.slice(prefix.length);

export const modelReportSchema = z.object({
  /** The stages that the process runs. */
  stages: z.array(z.string()),
  /** Names of those its doors let be asked for; the first answers where none is asked for. */
  offered: z.array(z.string()),
  /** By name; a model it does not serve is not there. */
  models: z.record(
    z.string(),
    z.object({
      state: z.enum(modelStates),
      /** Which writing it answers: `since` of the control that was read. */
      since: z.number().int().nonnegative().default(0),
      /** That answers, or is known, in this process; null: none does, and `trouble` says why. */
      version: z.string().nullable(),
      trouble: z.string().nullable(),
    }),
  ),
});

export type ModelReport = z.infer<typeof modelReportSchema>;

/** Null for what makes no sense. */
export function readReport(value: Buffer): ModelReport | null {
  try {
    return modelReportSchema.parse(JSON.parse(value.toString()));
  } catch {
    return null;
  }
}
