/**
 * A member of a group, as the Kafka connector is one: it hears of rebalances late, fetches on as long as it has not heard,
 * and hands over what it fetches without waiting for anything to be finished.
 */
import type { ConsumerOptions, LogConsumer, LogRecord, TopicPartition } from '../../../connectors/ports.ts';
import { SaccadeError } from '../../../connectors/errors.ts';
import type { Member } from '../world/groups.ts';
import type { World } from '../world/world.ts';
import type { Life } from './life.ts';

interface Cursor {
  readonly at: TopicPartition;
  next: number;
  paused: boolean;
  fetching: boolean;
}

export function simulatedConsumer(world: World, life: Life, options: ConsumerOptions): Promise<LogConsumer> {
  const { time, weather, random, broker, groups, scenario } = world;
  const { handlers, group } = options;
  const topic = options.topics[0]!;
  let generation = 0;
  let cursors = new Map<number, Cursor>();
  /** It fetches nothing before its owner has it in hand. */
  let joined = false;
  let inHand: (() => void) | null = null;
  let closed = false;
  let rejoining = false;

  const member: Member = {
    name: life.name,
    topic,
    claim: options.claim ?? null,
    generation: 0,
    assigned: [],
    rebalanced() {
      const hearsAfterMs = weather.strikes(scenario.rates.zombie) ? random.between(500, 8_000) : random.between(1, 100);
      time.after(hearsAfterMs, learn);
      // One that was thrown out is never told that its generation ends.
      if (random.chance(0.7)) time.after(random.between(0, hearsAfterMs), ending);
    },
  };

  function ending(): void {
    if (life.alive && joined && !closed && generation !== 0 && generation !== member.generation) handlers.ending?.(generation);
  }

  function learn(): void {
    if (!life.alive || !joined || closed || generation === member.generation || !groups.find(group)?.members.has(member)) return;
    generation = member.generation;
    const committed = groups.find(group)!.committed;
    cursors = new Map(
      member.assigned.map((at) => [at.partition, { at, next: committed.get(at.partition) ?? 0, paused: false, fetching: false }]),
    );
    world.note(life.name, `${group} learns of generation ${generation}, from ${[...cursors.values()].map((c) => `${c.at.partition}@${c.next}`).join(' ')}`);
    world.judge.assigned(member, life, member.assigned.length);
    handlers.assigned(generation, member.assigned);
    for (const cursor of cursors.values()) fetch(cursor);
    inHand?.();
  }

  function fetch(cursor: Cursor): void {
    if (cursor.fetching || cursor.paused || cursor.next >= broker.end(cursor.at)) return;
    cursor.fetching = true;
    const own = generation;
    const { ending: fate, thereMs, backMs } = weather.fate('log');
    time.after(thereMs + backMs, () => {
      cursor.fetching = false;
      if (!life.alive || closed) return;
      if (fate !== 'done') return void time.after(200, () => own === generation && life.alive && fetch(cursor));
      const records = broker.read(cursor.at, cursor.next, Math.min(options.maxBytesPerPartition, options.maxBytes));
      // Now and then less than there is, so that no two runs cut their batches alike.
      const some = records.slice(0, 1 + random.below(records.length));
      if (own === generation) return hand(cursor, some);
      // A fetch of an ended generation: void, and the owner must know that by its number.
      if (random.chance(0.3)) handlers.records(own, cursor.at, some);
    });
  }

  function hand(cursor: Cursor, records: readonly LogRecord[]): void {
    cursor.next += records.length;
    world.note(life.name, `${group} takes ${cursor.at.partition}@${records[0]!.offset}..${cursor.next - 1}`);
    // One that is stopping hands nothing on, and holds nothing.
    if (!life.stopping) world.judge.delivered(member, records);
    handlers.records(generation, cursor.at, records);
    fetch(cursor);
  }

  function leave(): void {
    groups.leave(group, member);
  }

  /** The coordinator thinks it dead; it goes on until it hears that it is not a member any more, and comes back. */
  function kicked(): void {
    if (!life.alive || closed || rejoining || !groups.find(group)?.members.has(member)) return;
    world.note(life.name, `KICKED out of ${group}`);
    rejoining = true;
    leave();
    time.after(random.between(100, 6_000), () => {
      rejoining = false;
      if (!life.alive || closed) return;
      if (random.chance(0.3)) handlers.failed?.(new SaccadeError('log_unavailable', 'not a member any more'));
      groups.join(group, member);
    });
  }

  broker.onAppend((record) => {
    if (record.topic !== topic || !life.alive || closed) return;
    const cursor = cursors.get(record.partition);
    if (cursor) fetch(cursor);
  });
  world.onKick(kicked);
  // A dead member holds its partitions until its session ends.
  life.onEnd(() => time.after(random.between(300, 6_000), leave));

  const each = (partitions: readonly TopicPartition[], act: (cursor: Cursor) => void): void => {
    for (const { partition } of partitions) {
      const cursor = cursors.get(partition);
      if (cursor) act(cursor);
    }
  };

  const consumer: LogConsumer = {
    pause: (partitions) => each(partitions, (cursor) => (cursor.paused = true)),
    resume: (partitions) =>
      each(partitions, (cursor) => {
        cursor.paused = false;
        fetch(cursor);
      }),
    async commit(of, positions) {
      if (of !== generation) return false;
      return life.call('log', `commit ${group} ${positions.map((p) => `${p.partition}@${p.offset}`).join(' ')}`, () => {
        const accepted = groups.commit(group, member, of, positions);
        world.note(life.name, `commit ${group} ${positions.map((p) => `${p.partition}@${p.offset}`).join(' ')}: ${accepted ? 'accepted' : 'stale'}`);
        return accepted;
      });
    },
    async close() {
      closed = true;
      await life.call('log', `leave ${group}`, leave).catch(() => time.after(6_000, leave));
    },
  };

  return life
    .call('log', `join ${group}`, () => {
      groups.join(group, member);
    })
    .then(
      () =>
        new Promise((resolve) => {
          joined = true;
          inHand = () => resolve(consumer);
          learn();
        }),
      (error: unknown) => {
        // It may be a member without knowing, and is one until its session ends.
        closed = true;
        time.after(random.between(300, 6_000), leave);
        throw error;
      },
    );
}
