import { Counter, Histogram, type Registry } from 'prom-client';

export interface EdgeMetrics {
  answered(model: string, seconds: number): void;
  refused(code: string): void;
}

export function edgeMetrics(registry: Registry): EdgeMetrics {
  const seconds = new Histogram({
    name: 'saccade_edge_request_seconds',
    help: 'Seconds from a request to its answer, by model.',
    labelNames: ['model'],
    buckets: [0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  });
  const refusals = new Counter({
    name: 'saccade_edge_refused_total',
    help: 'Requests that ended in an error, by code.',
    labelNames: ['code'],
    registers: [registry],
  });
  return {
    answered: (model, value) => seconds.observe({ model }, value),
    refused: (code) => refusals.inc({ code }),
  };
}
