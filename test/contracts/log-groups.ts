/** What every log does for groups: sharing, generations, commits, pauses, claims. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Position, TopicPartition } from '../../connectors/ports.ts';
import { outgoing, uniqueName, until, watch, type Watched } from '../support/kafka.ts';
import type { LogContext } from './log.ts';

const byPartition = (a: TopicPartition, b: TopicPartition): number => a.partition - b.partition;
const numbers = (partitions: readonly TopicPartition[]): number[] => partitions.map(({ partition }) => partition).toSorted();

/** The positions after the last record that arrived of each partition. */
function reached({ records }: Watched): Position[] {
  const next = new Map(records.map(({ topic, partition, offset }) => [partition, { topic, partition, offset: offset + 1 }]));
  return [...next.values()];
}

export function groupContract(context: LogContext): void {
  const { topic, send } = context;
  const several = async (at: string, count: number, from = 0): Promise<void> =>
    context.producer.send(Array.from({ length: count }, (_, i) => outgoing(at, `key-${from + i}`, `${from + i}`)));

  test('two members share the partitions; a rebalance raises the generation of both', async () => {
    const { name: at } = await topic();
    const group = uniqueName('group');
    const first = await watch(context.log, { group, topics: [at] });
    assert.deepEqual(numbers(first.partitions()), [0, 1, 2, 3]);
    const before = first.generation();
    const second = await watch(context.log, { group, topics: [at] });
    await until('each has its half', () => first.partitions().length === 2 && second.partitions().length === 2);
    assert.deepEqual(numbers([...first.partitions(), ...second.partitions()]), [0, 1, 2, 3]);
    assert.ok(first.generation() > before);
    await several(at, 40);
    await until('all arrive', () => first.records.length + second.records.length >= 40);
    const values = [...first.values(), ...second.values()].map(Number);
    assert.deepEqual(values.toSorted((a, b) => a - b), Array.from({ length: 40 }, (_, i) => i), 'each record to one of them');
    for (const member of [first, second]) {
      for (const record of member.records) assert.ok(numbers(member.partitions()).includes(record.partition));
    }
    await second.consumer.close();
    await until('the first has all again', () => first.partitions().length === 4);
    await first.consumer.close();
  });

  test('a commit of a stale generation answers false and commits nothing', async () => {
    const { name: at } = await topic();
    const group = uniqueName('group');
    const first = await watch(context.log, { group, topics: [at] });
    await several(at, 20);
    await until('all arrive', () => first.records.length >= 20);
    const stale = first.generation();
    const positions = reached(first);
    const second = await watch(context.log, { group, topics: [at] });
    await until('the first is in a new generation', () => first.generation() > stale);
    assert.equal(await first.consumer.commit(stale, positions), false);
    assert.deepEqual(await context.log.committed(group, at), []);
    await Promise.all([first.consumer.close(), second.consumer.close()]);
    assert.equal(await first.consumer.commit(first.generation(), positions), false, 'nor after close');
    assert.deepEqual(await context.log.committed(group, at), []);
  });

  test('uncommitted records go to the next member, committed ones do not', async () => {
    const { name: at } = await topic({ partitions: 2 });
    const group = uniqueName('group');
    const one = (partition: number, value: string) => outgoing(at, null, value, { partition });
    await send(one(0, 'a0'), one(0, 'a1'), one(0, 'a2'), one(1, 'b0'), one(1, 'b1'));
    const first = await watch(context.log, { group, topics: [at] });
    await until('all arrive', () => first.records.length >= 5);
    assert.equal(await first.consumer.commit(first.generation(), [{ topic: at, partition: 0, offset: 2 }]), true);
    assert.deepEqual(await context.log.committed(group, at), [{ topic: at, partition: 0, offset: 2 }]);
    await first.consumer.close();
    const second = await watch(context.log, { group, topics: [at] });
    await until('the rest arrives', () => second.records.length >= 3);
    assert.deepEqual(second.values().toSorted(), ['a2', 'b0', 'b1']);
    await second.consumer.close();
  });

  test('a member that takes over a partition begins at the commit, not where the other had read', async () => {
    const { name: at } = await topic();
    const group = uniqueName('group');
    await several(at, 40);
    const first = await watch(context.log, { group, topics: [at] });
    await until('all arrive', () => first.records.length >= 40);
    const committed = first.records.filter(({ offset }) => offset < 3).length;
    const positions = numbers(first.partitions()).map((partition) => ({ topic: at, partition, offset: 3 }));
    assert.equal(await first.consumer.commit(first.generation(), positions), true);
    const before = first.records.length;
    const second = await watch(context.log, { group, topics: [at] });
    await until('uncommitted ones come again', () => first.records.length - before + second.records.length >= 40 - committed);
    const again = [...first.records.slice(before), ...second.records];
    assert.equal(again.length, 40 - committed);
    assert.ok(again.every(({ offset }) => offset >= 3));
    await Promise.all([first.consumer.close(), second.consumer.close()]);
  });

  test('pause stops the delivery of a partition, resume goes on without loss', async () => {
    const { name: at } = await topic({ partitions: 2 });
    const member = await watch(context.log, { group: uniqueName('group'), topics: [at] });
    const paused = [{ topic: at, partition: 0 }];
    member.consumer.pause(paused);
    // A fetch from before the pause may still arrive; the first record of the other partition comes from a later one.
    await send(outgoing(at, null, 'other', { partition: 1 }));
    await until('the other partition goes on', () => member.values().includes('other'));
    for (let i = 0; i < 10; i += 1) await send(outgoing(at, null, `${i}`, { partition: 0 }));
    await send(outgoing(at, null, 'last', { partition: 1 }));
    await until('the other partition still goes on', () => member.values().includes('last'));
    assert.deepEqual(member.values(), ['other', 'last']);
    member.consumer.resume(paused);
    await until('the rest arrives', () => member.records.length >= 12);
    assert.deepEqual(member.values().slice(2), ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    await member.consumer.close();
  });

  test('a member whose partitions are all paused stays in the group', async () => {
    const { name: at } = await topic();
    const member = await watch(context.log, { group: uniqueName('group'), topics: [at] });
    const generation = member.generation();
    member.consumer.pause(member.partitions());
    await several(at, 8);
    // Longer than the session of a Kafka consumer.
    if (context.log.kind === 'kafka') await sleep(12_000);
    assert.equal(member.generation(), generation);
    assert.deepEqual(member.records, []);
    member.consumer.resume(member.partitions());
    await until('all arrive', () => member.records.length >= 8);
    assert.equal(await member.consumer.commit(generation, reached(member)), true);
    await member.consumer.close();
  });

  test("'latest' begins where the log ended when the consumer was made, for later members too", async () => {
    const { name: at } = await topic();
    const group = uniqueName('group');
    await several(at, 20);
    const first = await watch(context.log, { group, topics: [at], from: 'latest' });
    await several(at, 20, 20);
    await until('the new ones arrive', () => first.records.length >= 20);
    assert.deepEqual(first.values().map(Number).toSorted((a, b) => a - b), Array.from({ length: 20 }, (_, i) => 20 + i));
    await first.consumer.close();
    // Nothing was committed by the owner, so all that came after 'the latest' comes again.
    const second = await watch(context.log, { group, topics: [at], from: 'latest' });
    await until('the same arrive', () => second.records.length >= 20);
    assert.deepEqual(second.values().toSorted(), first.values().toSorted());
    await second.consumer.close();
  });

  test('a claim gets its partitions and no others, and commits them', async () => {
    const { name: at } = await topic();
    const group = uniqueName('group');
    const member = await watch(context.log, { group, topics: [at], claim: [2], from: 'latest' });
    assert.deepEqual(member.partitions(), [{ topic: at, partition: 2 }]);
    await context.producer.send([0, 1, 2, 3].map((partition) => outgoing(at, 'k', `${partition}`, { partition })));
    await until('its record arrives', () => member.records.length > 0);
    assert.deepEqual(member.values(), ['2']);
    assert.equal(await member.consumer.commit(member.generation(), reached(member)), true);
    assert.deepEqual(await context.log.committed(group, at), [{ topic: at, partition: 2, offset: 1 }]);
    await member.consumer.close();
  });

  test("a claim that began at 'latest' goes on in the next generation where it was, though it never commits", async () => {
    const { name: at } = await topic();
    const group = uniqueName('group');
    const mine = (value: string) => outgoing(at, 'k', value, { partition: 2 });
    await send(mine('before'));
    const member = await watch(context.log, { group, topics: [at], claim: [2], from: 'latest' });
    await send(mine('a'), mine('b'));
    await until('they arrive', () => member.records.length >= 2);
    const before = member.generation();
    const other = await watch(context.log, { group, topics: [at], claim: [2], from: 'latest' });
    await until('it is in a new generation', () => member.generation() > before);
    await other.consumer.close();
    await send(mine('c'));
    await until('the next arrives', () => member.values().includes('c'));
    assert.deepEqual(member.values(), ['a', 'b', 'c']);
    await member.consumer.close();
  });

  test('members of several groups, and of several topics, each get everything', async () => {
    const [a, b] = [await topic({ partitions: 2 }), await topic({ partitions: 3 })];
    const members = await Promise.all(
      ['x', 'y'].map((each) => watch(context.log, { group: uniqueName(`group-${each}`), topics: [a.name, b.name] })),
    );
    await several(a.name, 10);
    await several(b.name, 10, 10);
    for (const member of members) {
      assert.equal(member.partitions().length, 5);
      await until('all arrive', () => member.records.length >= 20);
      assert.deepEqual(member.values().map(Number).toSorted((x, y) => x - y), Array.from({ length: 20 }, (_, i) => i));
      await member.consumer.close();
    }
  });

  test('a delivery is bounded by the fetch limits', async () => {
    const { name: at } = await topic({ partitions: 1 });
    for (let i = 0; i < 12; i += 1) await send(outgoing(at, 'k', Buffer.alloc(100_000, i)));
    const sizes: number[] = [];
    const consumer = await context.log.consumer({
      group: uniqueName('group'),
      topics: [at],
      from: 'earliest',
      maxBytes: 350_000,
      maxBytesPerPartition: 350_000,
      handlers: { assigned() {}, records: (_generation, _source, records) => void sizes.push(records.length) },
    });
    await until('all arrive', () => sizes.reduce((sum, size) => sum + size, 0) >= 12);
    assert.ok(Math.max(...sizes) <= 3, `deliveries of ${sizes.join(', ')} records`);
    await consumer.close();
  });

  test('offsetsAt answers the first record that is not older, or the end', async () => {
    const { name: at } = await context.topic({ partitions: 2 });
    const since = Date.now() - 60_000;
    const stamped = (seconds: number) => outgoing(at, null, 'x', { partition: 0, timestamp: since + seconds * 1000 });
    await context.send(stamped(0), stamped(10), stamped(20));
    const first = async (seconds: number): Promise<number[]> => (await context.log.offsetsAt(at, since + seconds * 1000)).toSorted(byPartition).map(({ offset }) => offset);
    assert.deepEqual(await first(-5), [0, 0]);
    assert.deepEqual(await first(10), [1, 0]);
    assert.deepEqual(await first(11), [2, 0]);
    assert.deepEqual(await first(21), [3, 0]);
  });

  test('beginningOffsets, endOffsets and committed by partition', async () => {
    const { name: at } = await topic({ partitions: 3 });
    const group = uniqueName('group');
    assert.deepEqual((await context.log.endOffsets(at)).toSorted(byPartition), [0, 1, 2].map((partition) => ({ topic: at, partition, offset: 0 })));
    assert.deepEqual(await context.log.committed(group, at), []);
    await send(outgoing(at, null, 'a', { partition: 1 }), outgoing(at, null, 'b', { partition: 1 }), outgoing(at, null, 'c', { partition: 2 }));
    assert.deepEqual((await context.log.endOffsets(at)).toSorted(byPartition).map(({ offset }) => offset), [0, 2, 1]);
    const begins = (await context.log.beginningOffsets(at)).toSorted(byPartition);
    assert.deepEqual(begins, [0, 1, 2].map((partition) => ({ topic: at, partition, offset: 0 })), 'nothing was deleted');
    const member = await watch(context.log, { group, topics: [at] });
    await until('all arrive', () => member.records.length >= 3);
    assert.equal(await member.consumer.commit(member.generation(), reached(member)), true);
    assert.deepEqual((await context.log.committed(group, at)).toSorted(byPartition), [
      { topic: at, partition: 1, offset: 2 },
      { topic: at, partition: 2, offset: 1 },
    ]);
    await member.consumer.close();
  });
}
