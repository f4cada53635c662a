/** Wrong ways to commit. */
import type { ConsumerOptions, Log, LogConsumer, Position } from '../../../connectors/ports.ts';
import { PartitionQueue } from '../../../processors/runtime/partition-queue.ts';
import type { Broken } from './broken.ts';

/** The log with its consumers wrapped: `wrap` is given what the runtime asked for, and a way to the real consumer once there is one. */
function consumers(log: Log, wrap: (options: ConsumerOptions, real: () => LogConsumer | null) => { options: ConsumerOptions; consumer(real: LogConsumer): LogConsumer }): Log {
  return {
    ...log,
    async consumer(asked) {
      let real: LogConsumer | null = null;
      const { options, consumer } = wrap(asked, () => real);
      real = await log.consumer(options);
      return consumer(real);
    },
  };
}

const quietly = (promise: Promise<unknown> | undefined): void => void promise?.catch(() => {});

export const commitBeforeSend: Broken = {
  name: 'commit-before-send',
  sentence: 'Commits what it takes over at once, as automatic commits do.',
  breaks: ['commit-after-results'],
  ports: (ports) => ({
    ...ports,
    log: consumers(ports.log, (asked, real) => ({
      options: {
        ...asked,
        handlers: {
          ...asked.handlers,
          records(generation, source, records) {
            asked.handlers.records(generation, source, records);
            quietly(real()?.commit(generation, [{ ...source, offset: records.at(-1)!.offset + 1 }]));
          },
        },
      },
      consumer: (consumer) => consumer,
    })),
  }),
};

export const commitHighest: Broken = {
  name: 'commit-highest',
  sentence: 'Commits the highest finished record instead of the low-water mark.',
  breaks: ['commit-after-results'],
  install() {
    const original = PartitionQueue.prototype.uncommitted;
    PartitionQueue.prototype.uncommitted = function highest(this: PartitionQueue): number | null {
      const finished = this.entries().filter(({ open }) => open === 0);
      const last = finished.at(-1);
      return last ? last.record.offset + 1 : original.call(this);
    };
    return () => void (PartitionQueue.prototype.uncommitted = original);
  },
};

export const commitAfterRebalance: Broken = {
  name: 'commit-after-rebalance',
  sentence: 'Commits what a rebalance overtook under the next generation, over the head of the new owner.',
  breaks: ['commits-advance'],
  ports: (ports) => ({
    ...ports,
    log: consumers(ports.log, (asked, real) => {
      let late: readonly Position[] = [];
      return {
        options: {
          ...asked,
          handlers: {
            ...asked.handlers,
            assigned(generation, partitions) {
              asked.handlers.assigned(generation, partitions);
              if (late.length > 0) quietly(real()?.commit(generation, late));
              late = [];
            },
          },
        },
        consumer: (consumer) => ({
          ...consumer,
          async commit(generation, positions) {
            const accepted = await consumer.commit(generation, positions);
            if (!accepted) late = positions;
            return accepted;
          },
        }),
      };
    }),
  }),
};

export const commitUnheard: Broken = {
  name: 'commit-unheard',
  sentence: 'Starts commits and listens to none of their failures.',
  breaks: ['no-orphan-rejection'],
  ports: (ports) => ({
    ...ports,
    log: consumers(ports.log, (options) => ({
      options,
      consumer: (consumer) => ({
        ...consumer,
        commit(generation, positions) {
          void consumer.commit(generation, positions);
          return consumer.commit(generation, positions);
        },
      }),
    })),
  }),
};

export const ignoresBudget: Broken = {
  name: 'ignores-budget',
  sentence: 'Fetches on, however far behind the stage is.',
  breaks: ['bytes-in-flight'],
  ports: (ports) => ({
    ...ports,
    log: consumers(ports.log, (options) => ({ options, consumer: (consumer) => ({ ...consumer, pause() {} }) })),
  }),
};

export const forgetsToResume: Broken = {
  name: 'forgets-to-resume',
  sentence: 'Pauses when it is behind, and never resumes.',
  breaks: ['settles'],
  ports: (ports) => ({
    ...ports,
    log: consumers(ports.log, (options) => ({ options, consumer: (consumer) => ({ ...consumer, resume() {} }) })),
  }),
};
