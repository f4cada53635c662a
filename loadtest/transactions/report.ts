/** The table of a comparison, and its line of JSON. Ratios are of figures of the same round, since a machine's speed drifts. */
import { quantile } from '../quantiles.ts';
import type { DeliveryName } from './deliveries.ts';

export interface Figure {
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p95: number;
  readonly waits: number;
}

/** By batch size, then delivery; a figure for each round. */
export type Figures = Map<number, Record<DeliveryName, Figure[]>>;

const rounded = (value: number): number => Number(value.toPrecision(3));
const spread = (values: readonly number[]) => ({ median: rounded(quantile(values, 0.5)), least: rounded(Math.min(...values)), most: rounded(Math.max(...values)) });
const shown = ({ median, least, most }: ReturnType<typeof spread>): string => `${median} (${least} - ${most})`;

export function report(figures: Figures, given: object, strangers: boolean): void {
  const byBatch = [...figures].map(([batch, { at_least_once: plain, transactional: bound }]) => {
    const of = (all: readonly Figure[]) => ({
      records_per_s: spread(all.map(({ perSecond }) => Math.round(perSecond))),
      p50_ms: spread(all.map(({ p50 }) => p50)),
      p95_ms: spread(all.map(({ p95 }) => p95)),
    });
    return {
      batch,
      at_least_once: of(plain),
      transactional: { ...of(bound), waits_per_transaction: spread(bound.map(({ waits }) => waits)) },
      throughput_ratio: spread(bound.map(({ perSecond }, i) => perSecond / plain[i]!.perSecond)),
      p50_cost_ms: spread(bound.map(({ p50 }, i) => p50 - plain[i]!.p50)),
      p95_cost_ms: spread(bound.map(({ p95 }, i) => p95 - plain[i]!.p95)),
    };
  });
  console.table(
    byBatch.flatMap(({ batch, at_least_once, transactional, throughput_ratio }) =>
      Object.entries({ 'at least once': at_least_once, transactional }).map(([delivery, of]) => ({
        batch,
        delivery,
        'records/s': shown(of.records_per_s),
        'p50 ms': shown(of.p50_ms),
        'p95 ms': shown(of.p95_ms),
        'of its throughput': delivery === 'transactional' ? shown(throughput_ratio) : '',
      })),
    ),
  );
  console.log(`A position that no member of the group committed, in a transaction: ${strangers ? 'accepted' : 'refused'}.`);
  console.log(JSON.stringify({ bench: 'transactions', ...given, by_batch: byBatch, strangers_offsets_accepted: strangers }));
}
