/** From what a stage emits to records of the log. */
import { SaccadeError } from '../../connectors/errors.ts';
import type { OutgoingRecord, SchemaRegistry } from '../../connectors/ports.ts';
import type { Emitted } from '../stage.ts';
import type { Step } from './wiring.ts';

/** The topic behind an output's name. Throws internal: a stage emitted what topology.ts does not wire. */
export function topicOf(step: Step, emitted: Emitted): string {
  const topic = step.to[emitted.output] ?? step.to['*']?.replace('*', emitted.output);
  if (topic === undefined) {
    const known = Object.keys(step.to).join(', ') || 'none';
    throw new SaccadeError('internal', `Stage ${step.stage.name} has no output '${emitted.output}' (wired: ${known}).`);
  }
  return topic;
}

/** Throws internal for a value that does not fit the topic's schema or its limit of bytes, registry_unavailable. */
export async function outgoing(
  topic: string,
  emitted: Emitted,
  traceparent: string,
  registry: SchemaRegistry,
  maxRecordBytes: number,
): Promise<OutgoingRecord> {
  const value = await registry.encode(topic, emitted.value);
  if (value.length > maxRecordBytes) {
    // Not payload_too_large, which blames the picture: what a stage makes of it is the stage's.
    throw new SaccadeError('internal', `${value.length} bytes for ${topic}, whose limit is ${maxRecordBytes}.`);
  }
  return {
    topic,
    key: emitted.key,
    value,
    headers: { ...emitted.headers, traceparent },
    ...(emitted.partition === undefined ? {} : { partition: emitted.partition }),
  };
}
