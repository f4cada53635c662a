/** Wrong ways to change lanes. */
import { admissionTopic, overflowTopic } from '../../../schemas/topics.ts';
import { groupOf } from '../../../processors/topology.ts';
import type { Broken } from './broken.ts';
import { sending, without } from './sends.ts';

export const overtakesByOverflow: Broken = {
  name: 'overtakes-by-overflow',
  sentence: 'Reads the overflow lane without waiting for what its sources still have in the usual one.',
  breaks: ['source-order'],
  ports: sending((send) => (records) => send(records.map((record) => (record.topic === overflowTopic ? { ...record, headers: {} } : record)))),
};

export const comesBackEarly: Broken = {
  name: 'comes-back-early',
  sentence: 'Takes what was written to the overflow lane for what has left it.',
  breaks: ['source-order'],
  ports: (ports) => ({
    ...ports,
    log: {
      ...ports.log,
      committed: (group, topic) => (group === groupOf('preprocess.overflow') ? ports.log.endOffsets(topic) : ports.log.committed(group, topic)),
    },
  }),
};

export const forgetsLanes: Broken = {
  name: 'forgets-lanes',
  sentence: 'Keeps who is in the overflow lane in its own memory alone.',
  breaks: ['source-order'],
  ports: without(({ topic, value }) => topic === admissionTopic && value !== null),
};
