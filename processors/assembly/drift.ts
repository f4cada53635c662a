/** Drift on this process's log: the tables it keeps there, and who is told of alerts. */
import { alertsTopic, driftStateTopic, driftWindowsTopic, referencesTopic, type TopicName } from '../../schemas/topics.ts';
import { driftConfig } from '../drift/config.ts';
import { driftStage } from '../drift/drift.ts';
import { openReferences } from '../drift/references.ts';
import { tellOfSilence } from '../drift/silence.ts';
import { notifyStage } from '../notify/notify.ts';
import { followTable } from '../runtime/control-table.ts';
import type { Stages } from '../topology.ts';
import type { Foundation } from './foundation.ts';

/** Null where this process does not look for drift. */
export async function openDrift({ log, producer, registry, clock, logger, ending, wants, settings: s }: Foundation): Promise<Stages['drift'] | null> {
  if (!wants('drift')) return null;
  const { SACCADE_ALERT_WEBHOOK_URL: url, SACCADE_ALERT_WEBHOOK_SECRET: secret } = s;
  const told = logger.child({ stage: 'drift' });
  const references = openReferences(told);
  const table = await followTable({ log, producer, clock, topic: referencesTopic, changed: references.changed });
  ending.add('references of drift', () => table.close());
  const states = await followTable({ log, producer, clock, topic: driftStateTopic });
  ending.add('state of drift', () => states.close());
  const stage = driftStage({
    config: driftConfig.parse({}),
    clock,
    references,
    states: async () => {
      await states.caughtUp();
      return states.entries();
    },
    log: told,
  });
  const over = new AbortController();
  const topics: Readonly<Record<string, TopicName>> = { windows: driftWindowsTopic, alerts: alertsTopic, state: driftStateTopic };
  const silence = tellOfSilence({
    stage,
    send: async (emitted) => producer.send(await Promise.all(emitted.map(async ({ output, key, value }) => ({ topic: topics[output]!, key, value: await registry.encode(topics[output]!, value), headers: {} })))),
    clock,
    signal: over.signal,
    log: told,
  });
  ending.add('silent sources', async () => {
    over.abort();
    await silence;
  });
  return {
    drift: stage,
    notify: url && secret ? notifyStage({ webhook: { url, secret }, clock, log: logger.child({ stage: 'notify' }) }) : undefined,
  };
}
