/** The settings of the local broker: one node, loopback only, small, quick to start. */
import { recordLimitBytes } from '../../schemas/topics.ts';
import { SaccadeError } from '../../connectors/errors.ts';

export interface KafkaPorts {
  readonly broker: number;
  readonly controller: number;
}

/** Throws invalid_config for a folder that Kafka would take for several. */
export function kafkaProperties(folder: string, ports: KafkaPorts): Record<string, string | number | boolean> {
  // log.dirs is a list.
  if (folder.includes(',')) throw new SaccadeError('invalid_config', `SACCADE_DATA puts Kafka's data into '${folder}': Kafka takes a path with a comma for two. Set it to a folder without one.`);
  return {
    'process.roles': 'broker,controller',
    'node.id': 1,
    // Static voters, not a dynamic quorum: the port may be another one at the next start.
    'controller.quorum.voters': `1@127.0.0.1:${ports.controller}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://127.0.0.1:${ports.broker},CONTROLLER://127.0.0.1:${ports.controller}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${ports.broker}`,
    'log.dirs': folder,
    'auto.create.topics.enable': false,
    'message.max.bytes': recordLimitBytes,
    'replica.fetch.max.bytes': recordLimitBytes,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 8,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 8,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    // One member a group is the rule here: waiting for others would only delay the first frame.
    'group.initial.rebalance.delay.ms': 0,
    // After a kill -9 the broker is let in again only once its former session has run out.
    'broker.session.timeout.ms': 6000,
    'broker.heartbeat.interval.ms': 1000,
    // Hours of retention alone would fill a disk: 2 GiB a partition at most, given back in pieces of 256 MiB.
    'log.retention.bytes': 2_147_483_648,
    'log.segment.bytes': 268_435_456,
    'log.retention.check.interval.ms': 60_000,
    'num.network.threads': 2,
    'num.io.threads': 4,
  };
}

/** In the .properties format, where a backslash escapes and whoever reads it may take the bytes for Latin-1. */
export const propertiesText = (properties: Record<string, string | number | boolean>): string =>
  Object.entries(properties)
    .map(([name, value]) => `${name}=${escaped(String(value))}\n`)
    .join('');

const escaped = (value: string): string =>
  value.replaceAll('\\', '\\\\').replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
