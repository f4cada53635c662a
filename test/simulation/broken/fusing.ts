/** Wrong ways to fuse. */
import { groupOf } from '../../../processors/topology.ts';
import { tensorTopic } from '../../../schemas/topics.ts';
import { models } from '../world/scenario.ts';
import type { Broken } from './broken.ts';

const topicOfGroup = new Map(models.map((name) => [groupOf(`infer.${name}`), tensorTopic(name)]));

export const fusesAtOnce: Broken = {
  name: 'fuses-at-once',
  sentence: 'Does not wait for what lies in the topic that fusing bypasses.',
  breaks: ['source-order'],
  ports: (ports) => ({
    ...ports,
    log: { ...ports.log, committed: (group, topic) => (topicOfGroup.get(group) === topic ? ports.log.endOffsets(topic) : ports.log.committed(group, topic)) },
  }),
};
