import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SaccadeError } from '../connectors/errors.ts';
import { kafkaAdmin } from '../connectors/kafka/admin.ts';
import type { Log } from '../connectors/ports.ts';
import { drainAndCreate } from '../processors/operations/partitions-add.ts';
import { type Plan, planPartitions } from '../processors/operations/partition-plan.ts';
import type { World } from '../processors/operations/world.ts';
import { followTable, tableGroups } from '../processors/runtime/control-table.ts';
import { systemClock as clock } from '../processors/runtime/clock.ts';
import { unfinished } from '../processors/runtime/lag.ts';
import { openProducer } from '../processors/runtime/open-producer.ts';
import type { PausableProducer } from '../processors/runtime/pausable-producer.ts';
import { encodeJson } from '../schemas/pauses.ts';
import { kafkaBrokers, needsKafka } from './support/components.ts';
import { outgoing, silent, testKafkaLog, testTopic, uniqueName, until } from './support/kafka.ts';
import { caughtUp, itemOf, passOn, pipelineOn, quiet, readAll, step } from './support/pipeline.ts';

const sources = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

describe('adding partitions to a topic that is in use', { skip: needsKafka, timeout: 280_000 }, () => {
  const cleanups: (() => Promise<unknown>)[] = [];
  after(async () => {
    for (const clean of cleanups.toReversed()) await clean();
  });

  /** in ─▶ write ─▶ mid ─▶ read ─▶ out, with a table of pauses of their own. `mid` has two partitions, `out` one: an order over all. */
  async function topics() {
    const log = testKafkaLog();
    cleanups.push(() => log.close());
    const names = { in: uniqueName('in'), mid: uniqueName('mid'), out: uniqueName('out'), pauses: uniqueName('pauses') };
    await log.ensureTopics([
      testTopic({ name: names.in }),
      testTopic({ name: names.mid, partitions: 2 }),
      testTopic({ name: names.out, partitions: 1 }),
      testTopic({ name: names.pauses, partitions: 1, compacted: true }),
    ]);
    return { log, names, steps: { write: { ...step({ name: 'write', process: passOn('mid') }, names.in, { mid: names.mid }), group: uniqueName('write') }, read: { ...step({ name: 'read', batch: { records: 1, bytes: 1e9, waitMs: 0, concurrency: 1 }, process: passOn('out', () => 4) }, names.mid, { out: names.out }), group: uniqueName('read') } } };
  }
  type Topics = Awaited<ReturnType<typeof topics>>;

  /** What a process of its own has: a log, a producer that can hold, and the pauses followed. */
  async function process(at: Topics, stages: readonly (keyof Topics['steps'])[]): Promise<{ producer: PausableProducer; stop(): Promise<void> }> {
    const log = testKafkaLog();
    const producer = await openProducer({ log, clock, logger: quiet, topic: at.names.pauses });
    const pipeline = await pipelineOn(log, stages.map((name) => at.steps[name]), { producer });
    await pipeline.start();
    let stopped = false;
    const stop = async (): Promise<void> => {
      if (stopped) return;
      stopped = true;
      await pipeline.stop(5_000);
      await producer.close();
      await log.close();
    };
    cleanups.push(stop);
    return { producer, stop };
  }

  async function worldOf({ log, names, steps }: Topics): Promise<World> {
    const admin = kafkaAdmin({ brokers: kafkaBrokers ?? [], clientId: 'saccade-test', log: silent });
    cleanups.push(() => admin.close());
    return {
      log,
      admin,
      clock,
      pauses: await followTable({ log, producer: await log.producer(), clock, topic: names.pauses }),
      policies: { entries: () => new Map(), put: () => assert.fail('not of this command') },
      tenants: () => assert.fail('not of this command'),
      followers: tableGroups(names.pauses),
      readers: (topic) => (topic === names.mid ? [steps.read.group] : []),
      unfinished: async (group, topic) => (await unfinished(log, group, topic)).reduce((sum, { from, end }) => sum + end - from, 0),
      close: () => admin.close(),
    };
  }

  const planOf = ({ names }: Topics, count: number): Plan => ({ topics: new Map([[names.mid, 2]]), count, drains: true, outside: false, why: '' });

  /** Sends items of every source, in order, until it is stopped; answers how many of each. */
  async function load(log: Log, topic: string) {
    const producer = await log.producer();
    let going = true;
    let n = 0;
    const sending = (async () => {
      for (; going; n += 1) {
        await producer.send(sources.map((source) => outgoing(topic, source, JSON.stringify({ source, n }))));
        await sleep(5);
      }
    })();
    return async (): Promise<number> => {
      going = false;
      await sending;
      return n;
    };
  }

  const said: string[] = [];
  const output = { print: (line: string) => void said.push(line), say: (line: string) => void said.push(line) };
  const never = new AbortController().signal;

  /** Nothing lost, and the first of each item in the order of its source. */
  async function judge({ log, names }: Topics, each: number): Promise<void> {
    const seen = new Map(sources.map((source) => [source, new Set<number>()]));
    for (const record of await readAll(log, names.out)) {
      const { source, n } = itemOf(record);
      const before = seen.get(source)!;
      if (!before.has(n)) assert.equal(n, before.size, `${source}: item ${n} comes after ${before.size} others`);
      before.add(n);
    }
    for (const [source, items] of seen) assert.equal(items.size, each, source);
  }

  async function allRead(at: Topics): Promise<void> {
    await until('all is written', () => caughtUp(at.log, at.steps.write.group, at.names.in));
    await until('all is read', () => caughtUp(at.log, at.steps.read.group, at.names.mid), 90_000);
  }

  test('under load, with two processes that write: nothing is lost, order within each source holds, the new partitions are used', async () => {
    const at = await topics();
    const [one, two] = await Promise.all([process(at, ['write']), process(at, ['write']), process(at, ['read'])]);
    const world = await worldOf(at);
    const stopLoad = await load(at.log, at.names.in);
    await until('a backlog to be overtaken', async () => (await world.unfinished(at.steps.read.group, at.names.mid)) > 100);
    await drainAndCreate(world, planOf(at, 7), { limitMs: 60_000 }, output, never);
    assert.equal(await at.log.partitions(at.names.mid), 7);
    await until('both go on', () => !one.producer.held(at.names.mid) && !two.producer.held(at.names.mid));
    await until('the new partitions are used', async () => (await at.log.endOffsets(at.names.mid)).filter(({ offset }) => offset > 0).length > 4);
    const each = await stopLoad();
    await allRead(at);
    await judge(at, each);
    assert.ok(said.some((line) => line === 'writers: 2 of 3 processes hold' || line === 'writers: 3 of 3 processes hold'), said.join('\n'));
    await until('no answer is left in the table', () => world.pauses.entries().size === 0);
  });

  test('a reader that nobody runs: it gives up, says which, changes nothing, and the writers go on', async () => {
    const at = await topics();
    const writer = await process(at, ['write']);
    const world = await worldOf(at);
    const stopLoad = await load(at.log, at.names.in);
    await until('something to read', async () => (await world.unfinished(at.steps.read.group, at.names.mid)) > 20);
    await assert.rejects(drainAndCreate(world, planOf(at, 7), { limitMs: 4_000 }, output, never), (error: SaccadeError) => {
      assert.equal(error.code, 'overloaded');
      assert.match(error.message, new RegExp(`${at.steps.read.group} has \\d+ records of ${at.names.mid} left and no process runs it`));
      return true;
    });
    assert.equal(await at.log.partitions(at.names.mid), 2);
    await until('it goes on', () => !writer.producer.held(at.names.mid));
    const reader = await process(at, ['read']);
    const each = await stopLoad();
    await allRead(at);
    await judge(at, each);
    await reader.stop();
  });

  test('interrupted while it drains: everything is as it was', async () => {
    const at = await topics();
    const writer = await process(at, ['write']);
    const world = await worldOf(at);
    await at.log.producer().then((producer) => producer.send([outgoing(at.names.in, 'a', '{"source":"a","n":0}')]));
    await until('it lies in mid', async () => (await world.unfinished(at.steps.read.group, at.names.mid)) === 1);
    const stopping = new AbortController();
    const adding = drainAndCreate(world, planOf(at, 7), { limitMs: 60_000 }, output, stopping.signal);
    adding.catch(() => {});
    await until('the writer holds', () => writer.producer.held(at.names.mid));
    stopping.abort();
    await assert.rejects(adding);
    await until('it goes on', () => !writer.producer.held(at.names.mid));
    assert.equal(await at.log.partitions(at.names.mid), 2);
  });

  test('a program that knows no pause writes meanwhile: refused, and nothing is changed', async () => {
    const at = await topics();
    await process(at, ['write']);
    const world = await worldOf(at);
    const lines: string[] = [];
    const foreign = await at.log.producer();
    await foreign.send([outgoing(at.names.mid, 'a', '{"source":"a","n":0}')]);
    const adding = drainAndCreate(world, planOf(at, 7), { limitMs: 60_000 }, { ...output, say: (line) => void lines.push(line) }, never);
    adding.catch(() => {});
    // One more record comes in while the command waits for the first to be read; then a reader clears both away.
    await until('it drains', () => lines.some((line) => line.startsWith('draining')));
    await foreign.send([outgoing(at.names.mid, 'a', '{"source":"a","n":1}')]);
    await process(at, ['read']);
    await assert.rejects(adding, (error: SaccadeError) => error.code === 'overloaded' && /another program writes to it/.test(error.message));
    assert.equal(await at.log.partitions(at.names.mid), 2);
  });

  test('a pause ends by itself when whoever asked for it was killed; an old one does not hold a process that starts', async () => {
    const at = await topics();
    const { producer } = await process(at, ['write']);
    const asking = await at.log.producer();
    const pause = (topic: string, leaseMs: number, at_ = clock.now()) => asking.send([{ topic: at.names.pauses, key: topic, value: encodeJson({ id: 'x', by: 'test', at: at_, leaseMs }), partition: 0 }]);
    await pause(at.names.mid, 8_000);
    await until('it holds', () => producer.held(at.names.mid));
    let sent = false;
    const sending = producer.send([outgoing(at.names.mid, 'a', '{}')]).then(() => (sent = true));
    await producer.send([outgoing(at.names.out, 'a', '{}')]);
    assert.equal(sent, false, 'another topic is written, the one on hold is not');
    await sending;
    assert.equal(producer.held(at.names.mid), false);
    await pause(at.names.out, 1_000, clock.now() - 600_000);
    const later = await process(at, ['read']);
    assert.equal(later.producer.held(at.names.out), false);
  });

  test('a second command on the same topic is refused while the first is at it', async () => {
    const at = await topics();
    await process(at, ['write']);
    const [first, second] = [await worldOf(at), await worldOf(at)];
    await at.log.producer().then((producer) => producer.send([outgoing(at.names.mid, 'a', '{"source":"a","n":0}')]));
    const stopping = new AbortController();
    const adding = drainAndCreate(first, planOf(at, 7), { limitMs: 60_000 }, output, stopping.signal);
    adding.catch(() => {});
    await until('the second knows', () => second.pauses.entries().has(at.names.mid));
    await assert.rejects(drainAndCreate(second, planOf(at, 9), { limitMs: 60_000 }, output, never), /paused by npm run saccade on .* already/);
    stopping.abort();
    await assert.rejects(adding);
  });

  test('what makes no sense is refused with the reason', async () => {
    const { log, names } = await topics();
    const admin = kafkaAdmin({ brokers: kafkaBrokers ?? [], clientId: 'saccade-test', log: silent });
    cleanups.push(() => admin.close());
    const tensors = `tensors.${uniqueName('model')}`;
    await log.ensureTopics([testTopic({ name: tensors, partitions: 3 }), testTopic({ name: `${tensors}.dlq`, partitions: 3 })]);
    const refused = async (topic: string, count: number, why: RegExp): Promise<void> =>
      assert.rejects(planPartitions({ log, admin }, topic, count), (error: SaccadeError) => error.code === 'bad_request' && why.test(error.message));
    await refused('nowhere', 9, /no topic nowhere\. There are: /);
    await refused(names.mid, 9, /not a topic of Saccade's/);
    await refused(tensors, 9, /equally many partitions.*'tensors\.\*' 9/);
    await refused(`${tensors}.dlq`, 3, /has 3 partitions; .* more than that/);
    assert.equal((await planPartitions({ log, admin }, `${tensors}.dlq`, 4)).drains, false);
    const all = await planPartitions({ log, admin }, 'tensors.*', 9_000);
    assert.equal(all.topics.get(tensors), 3);
    assert.equal(all.topics.has(`${tensors}.dlq`), false);
  });
});
