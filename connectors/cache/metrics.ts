/** What the cache of answers reports; models are those served, so the labels are bounded. */
import { Counter, type Registry } from 'prom-client';

export interface CacheMetrics {
  /** `corrupt` is a miss too: something was there that is no answer. */
  lookedUp(model: string, outcome: 'hit' | 'miss' | 'corrupt' | 'error'): void;
  written(model: string, outcome: 'ok' | 'error'): void;
}

export function cacheMetrics(registry: Registry): CacheMetrics {
  const counter = (name: string, help: string) => new Counter({ name, help, labelNames: ['model', 'outcome'], registers: [registry] });
  const lookups = counter('saccade_cache_lookups_total', 'Answers looked up in the cache: hit, miss, corrupt (no answer under its key), error (the cache could not be asked).');
  const writes = counter('saccade_cache_writes_total', 'Answers put into the cache: ok, or error (the cache did not take them).');
  return {
    lookedUp: (model, outcome) => lookups.inc({ model, outcome }),
    written: (model, outcome) => writes.inc({ model, outcome }),
  };
}
