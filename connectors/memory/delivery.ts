/** Hands records to a member of a group from the event loop, never from inside a call of its owner. */
import { keyOf, type Member } from './group.ts';
import { recordBytes, type MemoryTopic } from './topic.ts';

/** Members with a turn of the event loop ahead, and the generation each was last told of. */
const scheduled = new WeakSet<Member>();
const told = new WeakMap<Member, number>();

export function deliver(member: Member, topicOf: (name: string) => MemoryTopic): void {
  if (scheduled.has(member)) return;
  scheduled.add(member);
  setImmediate(() => {
    scheduled.delete(member);
    // Left the group, or the log is closed.
    if (member.generation === 0) return;
    if (announce(member)) return deliver(member, topicOf);
    if (turn(member, topicOf)) deliver(member, topicOf);
  });
}

/** Tells the owner of a new generation before anything of it is delivered. */
function announce(member: Member): boolean {
  if (told.get(member) === member.generation) return false;
  told.set(member, member.generation);
  member.options.handlers.assigned(member.generation, member.assigned);
  return true;
}

/** One fetch: every partition may give its share until the whole is full. Answers whether there may be more. */
function turn(member: Member, topicOf: (name: string) => MemoryTopic): boolean {
  const { maxBytes, maxBytesPerPartition, handlers } = member.options;
  const { generation, assigned } = member;
  let left = maxBytes;
  let delivered = false;
  for (let tried = 0; tried < assigned.length; tried += 1) {
    // A rebalance, caused by the owner in the midst of the turn, ends it.
    if (left <= 0 || member.generation !== generation) return true;
    const at = assigned[member.turn % assigned.length]!;
    const key = keyOf(at);
    member.turn = (member.turn + 1) % assigned.length;
    if (member.paused.has(key)) continue;
    const records = topicOf(at.topic).read(at.partition, member.next.get(key) ?? 0, Math.min(left, maxBytesPerPartition));
    const last = records.at(-1);
    if (last === undefined) continue;
    member.next.set(key, last.offset + 1);
    left -= records.reduce((sum, record) => sum + recordBytes(record), 0);
    delivered = true;
    handlers.records(generation, at, records);
  }
  return delivered;
}
