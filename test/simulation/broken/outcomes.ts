/** Wrong outcomes, and wrong identities. */
import { SaccadeError } from '../../../connectors/errors.ts';
import type { Prediction } from '../../../schemas/records.ts';
import { predictionId } from '../../../schemas/ids.ts';
import { type Outcome, reject } from '../../../processors/stage.ts';
import type { Random } from '../world/random.ts';
import type { Ports } from '../process/ports.ts';
import type { Broken } from './broken.ts';

export const dropsUnaccounted: Broken = {
  name: 'drops-unaccounted',
  sentence: 'Lets a frame that gets no result vanish without an outcome.',
  breaks: ['one-outcome', 'commit-after-results'],
  stage: (stage) => (stage.account ? { ...stage, account: () => [] } : stage),
};

export const retryDeadLetters: Broken = {
  name: 'retry-dead-letters',
  sentence: 'Blames the record for a fault of the environment.',
  breaks: ['deserved-outcome'],
  stage: (stage) => ({
    ...stage,
    async process(inputs, signal) {
      const condemn = (outcome: Outcome): Outcome => (outcome.kind === 'retry' ? reject(outcome.error) : outcome);
      try {
        return (await stage.process(inputs, signal)).map(condemn);
      } catch (error) {
        if (error instanceof SaccadeError) return inputs.map(() => reject(error));
        throw error;
      }
    },
  }),
};

const predictionsAs = (change: (prediction: Prediction, random: Random) => Prediction) => (ports: Ports, { random }: { readonly random: Random }): Ports => ({
  ...ports,
  registry: {
    ...ports.registry,
    encode: (topic, value) => ports.registry.encode(topic, topic === 'predictions' ? change(value as Prediction, random) : value),
  },
});

export const freshIds: Broken = {
  name: 'fresh-ids',
  sentence: 'Makes the attempt a part of a prediction’s identity.',
  breaks: ['only-offered'],
  ports: predictionsAs((prediction, random) => ({ ...prediction, id: predictionId(prediction.frame_id, `${prediction.model} ${random.below(1_000_000)}`) })),
};

export const variesIdentity: Broken = {
  name: 'varies-identity',
  sentence: 'Lets a repeat differ in a column that the table is sorted by.',
  breaks: ['one-outcome'],
  ports: predictionsAs((prediction, random) => ({ ...prediction, tenant: `${prediction.tenant}-${random.below(1_000_000)}` })),
};
