/** Wrong ways to send. */
import type { OutgoingRecord } from '../../../connectors/ports.ts';
import type { Ports } from '../process/ports.ts';
import type { Broken } from './broken.ts';

type Send = (records: readonly OutgoingRecord[]) => Promise<void>;

export const sending = (change: (send: Send) => Send) => (ports: Ports): Ports => ({
  ...ports,
  producer: { ...ports.producer, send: change((records) => ports.producer.send(records)) },
});

export const without = (lost: (record: OutgoingRecord) => boolean) =>
  sending((send) => async (records) => {
    const kept = records.filter((record) => !lost(record));
    if (kept.length > 0) await send(kept);
  });

export const sendsUnordered: Broken = {
  name: 'sends-unordered',
  sentence: 'Sends every record by itself, all at once.',
  breaks: ['source-order'],
  ports: sending((send) => async (records) => void (await Promise.all(records.map((record) => send([record]))))),
};

export const ignoresSendErrors: Broken = {
  name: 'ignores-send-errors',
  sentence: 'Takes a failed send for done.',
  breaks: ['commit-after-results', 'one-outcome'],
  ports: sending((send) => (records) => send(records).catch(() => {})),
};

export const swallowsDeadLetters: Broken = {
  name: 'swallows-dead-letters',
  sentence: 'Accounts for what it refuses, and throws the record away.',
  breaks: ['dead-letters'],
  ports: without(({ topic }) => topic.endsWith('.dlq')),
};

export const tearsDeadLetters: Broken = {
  name: 'tears-dead-letters',
  sentence: 'Keeps only the beginning of what it refuses.',
  breaks: ['dead-letters'],
  ports: sending(
    (send) => (records) => send(records.map((record) => (record.topic.endsWith('.dlq') ? { ...record, value: record.value?.subarray(0, 10) ?? null } : record))),
  ),
};

export const forgetsReplies: Broken = {
  name: 'forgets-replies',
  sentence: 'Stores answers and does not tell those who asked.',
  breaks: ['answered'],
  ports: without(({ topic }) => topic === 'replies'),
};
