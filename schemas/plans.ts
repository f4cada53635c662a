/** plans.json, typed: how many requests of each class a principal may make in which time. */
import { readFileSync } from 'node:fs';

/** What a route counts as. */
export const rateClasses = ['predict', 'batch', 'training_upload', 'retrain', 'read', 'admin'] as const;
export type RateClass = (typeof rateClasses)[number];

export interface Rate {
  readonly requests: number;
  /** The window begins with its first request. */
  readonly seconds: number;
}

/** All windows of a class hold at once, the shortest first: a rate for the minute, each key's; a quota for the day, which the keys of a tenant share. A class that is not named has no limit. */
export type Plan = Readonly<Partial<Record<RateClass, readonly Rate[]>>>;

export const plans: Readonly<Record<string, Plan>> = JSON.parse(readFileSync(new URL('./plans.json', import.meta.url), 'utf8'));
export const planNames = Object.keys(plans) as [string, ...string[]];
