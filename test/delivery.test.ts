import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs, { type Admin } from 'kafkajs';
import { Registry } from 'prom-client';
import type { Log } from '../connectors/ports.ts';
import { runtimeMetrics } from '../processors/runtime/metrics.ts';
import { emit, type Input } from '../processors/stage.ts';
import { frameIdFromOrigin } from '../schemas/ids.ts';
import type { MortalSettings } from './reference/mortal-stage.ts';
import { kafkaBrokers, needsKafka } from './support/components.ts';
import { testKafkaLog, testTopic } from './support/kafka.ts';
import { caughtUp, eventually, type Item, itemOf, offer, passOn, pipelineOn, readAll, step } from './support/pipeline.ts';

describe('delivery on Kafka', { skip: needsKafka, timeout: 280_000 }, () => {
  let log: Log;
  let admin: Admin;
  before(async () => {
    log = testKafkaLog();
    admin = new kafkajs.Kafka({ brokers: [...(kafkaBrokers ?? [])], logLevel: kafkajs.logLevel.NOTHING }).admin();
    await admin.connect();
  });
  after(async () => {
    await admin?.disconnect();
    await log?.close();
  });

  const topics = async (partitions: number) => {
    const [from, to] = [testTopic({ partitions }), testTopic({ partitions: 1 })];
    await log.ensureTopics([from, to, { ...from, name: `${from.name}.dlq` }]);
    return { from, to };
  };
  const namesIn = async (topic: string) => (await readAll(log, topic)).map(itemOf).map(({ source, n }) => `${source}${n}`);

  test('a zombie that slept through its session wakes: its late commits are refused, its late outputs are repeats of what is there', async () => {
    const { from, to } = await topics(2);
    const data = mkdtempSync(join(tmpdir(), 'saccade-zombie-'));
    const settings: MortalSettings = { from: from.name, to: to.name, data, killer: -1, workMs: 300 };
    const children: ChildProcess[] = [];
    const start = () => (children.push(spawn(process.execPath, ['--import', 'tsx', 'test/reference/mortal-stage.ts', JSON.stringify(settings)], { stdio: 'ignore' })), children.at(-1)!);
    try {
      await offer(log, from.name, ['a', 'b', 'c'], 30);
      const zombie = start();
      const page = join(data, 'in-work', `${zombie.pid}.work`);
      await eventually(() => existsSync(page) && readFileSync(page, 'utf8').includes('"stage"'), 'records in its work', 60_000);
      zombie.kill('SIGSTOP');
      start();
      await eventually(() => caughtUp(log, 'g.mortal', from.name), 'the other to have done all', 120_000);
      const earlier = (await namesIn(to.name)).length;
      zombie.kill('SIGCONT');
      // It wakes with a batch in its work: that goes out, late.
      await eventually(async () => (await log.endOffsets(to.name))[0]!.offset > earlier, 'a late output of the zombie', 60_000);
      await sleep(2_000);
      assert.ok(await caughtUp(log, 'g.mortal', from.name), 'no late commit took the position back');
      await offer(log, from.name, ['a', 'b', 'c'], 5, 30);
      await eventually(() => caughtUp(log, 'g.mortal', from.name), 'both to go on', 60_000);
      const names = await namesIn(to.name);
      assert.equal(new Set(names).size, 105, 'nothing is missing, and nothing is there that was not offered');
      assert.ok(names.length > 105, 'there were repeats, or this proves nothing');
    } finally {
      for (const child of children) {
        child.kill('SIGKILL');
        if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      }
      rmSync(data, { recursive: true, force: true });
    }
  });

  test('a topic that is created anew: its records are read from its beginning, and their ids are new ones', async () => {
    const { from, to } = await topics(1);
    const cluster = await log.clusterId();
    const ids: string[] = [];
    const name = `s-${from.name}`;
    const noting = async (batch: readonly Input<Item>[]) =>
      batch.map(({ key, value, origin }) => (ids.push(frameIdFromOrigin({ ...origin, cluster })), emit({ output: 'out', key, value })));
    const run = async (): Promise<void> => {
      const pipeline = await pipelineOn(log, [step({ name, process: noting }, from.name, { out: to.name })]);
      await pipeline.start();
      await eventually(() => caughtUp(log, `g.${name}`, from.name), 'all committed', 60_000);
      await pipeline.stop(5_000);
    };
    await offer(log, from.name, ['a'], 6);
    await run();
    await admin.deleteTopics({ topics: [from.name] });
    await eventually(async () => !(await admin.listTopics()).includes(from.name), 'the topic to be gone');
    // kafkajs asks for a topic that it knew for as long as it lives: another process comes after the deletion.
    await log.close();
    log = testKafkaLog();
    await eventually(() => log.ensureTopics([from]).then(() => true, () => false), 'it to be there again', 60_000);
    await offer(log, from.name, ['a'], 9);
    await run();
    assert.equal(ids.length, 15, 'each once');
    assert.equal(new Set(ids).size, 15, 'none is mistaken for a repeat of the record that had its place');
  });

  test('what retention deletes before it is processed is counted and announced, and the rest goes on', async () => {
    const { from, to } = await topics(1);
    const name = `s-${from.name}`;
    const registry = new Registry();
    const metrics = runtimeMetrics(registry);
    const said: string[] = [];
    const expired = async () => Number(/saccade_stage_expired_records_total\{[^}]*\} (\d+)/.exec(await registry.metrics())?.[1] ?? 0);
    const deleteBelow = async (offset: number): Promise<void> => {
      await admin.fetchTopicOffsets(from.name);
      await admin.deleteTopicRecords({ topic: from.name, partitions: [{ partition: 0, offset: String(offset) }] });
    };
    const start = async () => {
      const pipeline = await pipelineOn(log, [step({ name, process: passOn('out') }, from.name, { out: to.name })], { metrics, announce: (line) => said.push(line) });
      await pipeline.start();
      return pipeline;
    };
    await offer(log, from.name, ['a'], 5);
    const first = await start();
    await eventually(() => caughtUp(log, `g.${name}`, from.name), 'the first five', 60_000);
    await first.stop(5_000);
    await offer(log, from.name, ['a'], 20, 5);
    await deleteBelow(12);
    const second = await start();
    await eventually(() => caughtUp(log, `g.${name}`, from.name), 'the rest', 60_000);
    await eventually(async () => (await expired()) === 7, 'seven to be counted');
    await second.stop(5_000);
    assert.equal(said.length, 1);
    assert.match(said[0]!, new RegExp(`7 records of ${from.name}/0 were deleted by retention before .* it goes on at offset 12`));
    assert.deepEqual(new Set(await namesIn(to.name)), new Set([...Array(25).keys()].filter((n) => n < 5 || n >= 12).map((n) => `a${n}`)));
  });

  test('the marks of transactions, and what was aborted, are passed: nothing looks as if it waited', async () => {
    const { from, to } = await topics(1);
    const client = new kafkajs.Kafka({ brokers: [...(kafkaBrokers ?? [])], logLevel: kafkajs.logLevel.NOTHING });
    const writer = client.producer({ transactionalId: `t-${from.name}`, idempotent: true, maxInFlightRequests: 1 });
    await writer.connect();
    const write = async (first: number, end: 'commit' | 'abort'): Promise<void> => {
      const transaction = await writer.transaction();
      await transaction.send({ topic: from.name, messages: [0, 1, 2].map((i) => ({ key: 'a', value: JSON.stringify({ source: 'a', n: first + i }) })) });
      await transaction[end]();
    };
    const group = `g.s-${from.name}`;
    const pipeline = await pipelineOn(log, [step({ name: `s-${from.name}`, process: passOn('out', () => 50) }, from.name, { out: to.name })]);
    await pipeline.start();
    try {
      await write(0, 'commit');
      await eventually(() => caughtUp(log, group, from.name), 'the mark behind the records to be passed', 30_000);
      await write(3, 'abort');
      await write(6, 'commit');
      await eventually(() => caughtUp(log, group, from.name), 'the aborted ones too', 30_000);
      await write(9, 'abort');
      await eventually(() => caughtUp(log, group, from.name), 'those that nothing follows', 30_000);
      assert.deepEqual(await namesIn(to.name), ['a0', 'a1', 'a2', 'a6', 'a7', 'a8']);
    } finally {
      await pipeline.stop(5_000);
      await writer.disconnect();
    }
  });
});
