/**
 * One client's stream, which may outlive its sockets: frames in hand, outcomes in the order of their sequence numbers, the
 * client's credits. Each sequence number gets exactly one outcome; a frame sent twice is one frame.
 */
import type { SaccadeError } from '../../../connectors/errors.ts';
import type { Clock } from '../../../connectors/ports.ts';
import { freely, type Tap, type Verdict } from '../ledger.ts';
import type { About } from './about.ts';
import type { Budget } from './budget.ts';
import type { StreamConfig } from './config.ts';
import { inOrder } from './in-order.ts';
import { keptOutcomes } from './kept-outcomes.ts';
import type { Link } from './link.ts';
import type { StreamMetrics } from './metrics.ts';
import type { Door } from '../pace.ts';
import { closeCodes, type DropReason, type FromServer, type SentFrame, type StreamOutcome } from './protocol.ts';

/** A frame that has no ack yet. */
export interface FrameInHand {
  readonly sequence: number;
  readonly capturedAt: number;
  readonly receivedAt: number;
  readonly image: Buffer;
}

export interface Session {
  readonly about: About;
  readonly live: boolean;
  /** Takes the place of the socket there was, welcomes the client and tells it again what it has not acknowledged. */
  attach(link: Link, resume: 'new' | 'held' | 'moved', acknowledged: number): void;
  /** The socket has gone; what is in hand goes on. */
  detach(link: Link): void;
  readonly attached: boolean;
  /** Whether the client may send: without credits its silence is none of its own. */
  readonly credited: boolean;
  /** When a frame of it was taken last, at first when it began: whoever has waited longest is next. */
  readonly servedAt: number;
  receive(frame: SentFrame): void;
  acknowledge(sequence: number): void;
  /** The client sends no more: its socket is closed when all is answered. */
  end(): void;
  /** Tells of credits that could not be given before, and lets its client go where its model is no longer served and all is answered. */
  nudge(): void;
  /** The next frame for the log; `later`: there is one, and its source or whoever sends it is above what they may. */
  take(now: number): FrameInHand | 'later' | null;
  /** What was taken and could not be sent; these are the session's oldest, in order. */
  putBack(frames: readonly FrameInHand[]): void;
  acknowledged(frame: FrameInHand): void;
  refused(frame: FrameInHand, error: SaccadeError): void;
  /** What became of a frame (null: it will not be known here), and how long the pipeline took over it (null: it never had it). */
  answered(outcome: StreamOutcome | null, tookMs: number | null): void;
  /** Takes no more, and lets its client go as soon as nothing of it is in the pipeline. */
  stop(): void;
  /** Nobody will come back for it. */
  discard(): void;
}

export interface SessionOptions {
  readonly about: About;
  readonly limits: StreamConfig;
  /** Of frames in hand. */
  readonly budget: Budget;
  /** Of outcomes kept. */
  readonly keptBudget: Budget;
  readonly clock: Clock;
  readonly metrics: StreamMetrics;
  /** What the pipeline gets at once of all sessions like this one. */
  readonly door: Door;
  /** Whether its model may still be asked. */
  readonly served: () => boolean;
  /** Whether the source may send now, and who sends by the tap; counts it if so. */
  readonly allowed: (now: number, tap: Tap) => Verdict;
  /** Has frames that may be taken. */
  readonly wake: (session: Session) => void;
  /** The error as the client is told it. */
  readonly errorOf: (sequence: number, error: SaccadeError) => StreamOutcome;
}

export function createSession({ about, limits, budget, keptBudget, clock, metrics, door, served, allowed, wake, errorOf }: SessionOptions): Session {
  const live = about.policy === 'drop_oldest';
  const kept = keptOutcomes(limits, keptBudget);
  const pending = inOrder();
  let queue: FrameInHand[] = [];
  let highest = about.acknowledged;
  /** In the queue again, and counted by the limits already. */
  const counted = new WeakSet<FrameInHand>();
  /** Taken by the sender and not settled. */
  let inPipeline = 0;
  let servedAt = clock.now();
  let credits = 0;
  let link: Link | null = null;
  /** Of the socket it has, else of the one it had last. */
  let tap: Tap = freely;
  let [ending, stopping, discarded] = [false, false, false];

  /** Credits the client gets now: what it may have, less what it has. */
  function grant(): number {
    if (link === null || stopping || link.slow || !served()) return 0;
    const target = Math.min(limits.window - (live ? queue.length : pending.size), limits.reorder - pending.size);
    const more = Math.max(0, target - credits);
    credits += more;
    return more;
  }

  const say = (message: FromServer): void => link?.send(JSON.stringify(message));

  function nudge(): void {
    const more = grant();
    if (more > 0) say({ type: 'credits', credits: more });
  }

  /** Tells what is next in order, as far as it is known. */
  function flush(): void {
    for (let outcome = pending.next(); outcome; outcome = pending.next()) {
      const json = JSON.stringify(outcome);
      if (!discarded) kept.add(outcome.sequence, json);
      const more = grant();
      link?.send(more > 0 ? `${json.slice(0, -1)},"credits":${more}}` : json);
    }
    nudge();
    leaveIfDone();
  }

  function leaveIfDone(): void {
    if (stopping && inPipeline === 0) {
      say({ type: 'bye', unanswered: pending.sequences() });
      link?.close(closeCodes.stopping, 'The edge is stopping: connect again and resume.');
    } else if (pending.size > 0) return;
    else if (ending) link?.close(closeCodes.done, 'All is answered.');
    else if (!served()) link?.close(closeCodes.unserved, `'${about.model}' is not served any more: open another session with a model that is.`);
  }

  const letGo = (frame: FrameInHand): void => budget.give(frame.image.length);

  function drop(frame: FrameInHand, reason: DropReason): void {
    letGo(frame);
    metrics.dropped(reason);
    pending.settle({ type: 'dropped', sequence: frame.sequence, reason });
  }

  /** What became of these the client has: from another edge, where it was meanwhile. Told here too it would be told twice. */
  function knownElsewhere(acknowledged: number): void {
    highest = Math.max(highest, acknowledged);
    pending.forget(acknowledged);
    while (queue.length > 0 && queue[0]!.sequence <= acknowledged) {
      letGo(queue.shift()!);
      metrics.dropped('elsewhere');
    }
  }

  /** A live picture loses its worth by waiting: the newest stay. */
  function trim(): void {
    while (queue.length > limits.liveQueue) drop(queue.shift()!, 'behind');
    while (queue.length > 0 && budget.over) drop(queue.shift()!, 'overloaded');
  }

  /** The first frame, where it may go now; null: it was dropped instead. */
  function admitted(now: number): FrameInHand | 'later' | null {
    // One that the log would not take has been counted.
    const verdict = counted.delete(queue[0]!) ? 'yes' : allowed(now, tap);
    if (verdict === 'yes') return queue.shift()!;
    if (verdict === 'later' || !live) return 'later';
    drop(queue.shift()!, 'quota');
    return null;
  }

  function pauseWhileFull(): void {
    const mine = link;
    mine?.pause();
    budget.whenFree(() => mine?.resume());
  }

  const session: Session = {
    about,
    live,
    get attached() {
      return link !== null;
    },
    get credited() {
      return credits > 0;
    },
    get servedAt() {
      return servedAt;
    },
    attach(next, resume, acknowledged) {
      link?.close(closeCodes.replaced, 'Another connection has resumed this session.');
      link = next;
      tap = next.tap;
      kept.acknowledge(acknowledged);
      knownElsewhere(acknowledged);
      credits = 0;
      const { session: id, source, model, policy } = about;
      const received = highest < 0 ? null : highest;
      say({ type: 'welcome', session: id, source, model, policy, resume, received, missing_to: kept.missingTo, frame_bytes: limits.frameBytes, credits: grant() });
      for (const json of kept.all()) next.send(json);
      flush();
    },
    detach(gone) {
      if (link === gone) link = null;
    },
    receive({ sequence, capturedAt, image }) {
      // It would be answered by nobody: the client sends it again, to another edge.
      if (stopping) return;
      if (credits <= 0 || ending) return void link?.close(ending ? closeCodes.malformed : closeCodes.overCredit, ending ? 'A frame after the end.' : 'More frames than credits.');
      credits -= 1;
      if (sequence <= highest) {
        metrics.repeated();
        const more = grant();
        return say({ type: 'duplicate', sequence, ...(more > 0 ? { credits: more } : {}) });
      }
      highest = sequence;
      metrics.offered();
      budget.take(image.length);
      const receivedAt = clock.now();
      pending.expect(sequence);
      queue.push({ sequence, capturedAt: capturedAt ?? receivedAt, receivedAt, image });
      if (live) trim();
      else if (budget.over) pauseWhileFull();
      flush();
      if (queue.length > 0) wake(session);
    },
    acknowledge: (sequence) => kept.acknowledge(sequence),
    end() {
      ending = true;
      leaveIfDone();
    },
    nudge() {
      nudge();
      leaveIfDone();
    },
    take(now) {
      const most = live ? limits.liveInFlight : limits.window;
      const dropped = queue.length;
      let taken: FrameInHand | 'later' | null = null;
      while (queue.length > 0 && inPipeline < most && taken === null) {
        const [first] = queue as [FrameInHand];
        if (live && limits.liveMs > 0 && now - first.receivedAt > limits.liveMs) drop(queue.shift()!, 'behind');
        else if (door.full) {
          if (live && now - first.receivedAt > limits.liveTargetMs) drop(queue.shift()!, 'behind');
          else taken = 'later';
        } else taken = admitted(now);
      }
      if (taken !== null && taken !== 'later') {
        inPipeline += 1;
        door.take();
        servedAt = now;
      }
      if (queue.length < dropped) flush();
      return taken;
    },
    putBack(frames) {
      inPipeline -= frames.length;
      for (const frame of frames) counted.add(frame);
      frames.forEach(() => door.back(null));
      queue = [...frames, ...queue];
      if (discarded || stopping) return abandon('not_ready');
      if (live) trim();
      flush();
      if (queue.length > 0) wake(session);
    },
    acknowledged(frame) {
      letGo(frame);
      metrics.acknowledged();
    },
    refused(frame, error) {
      letGo(frame);
      metrics.refused(error.code);
      session.answered(errorOf(frame.sequence, error), null);
    },
    answered(outcome, tookMs) {
      inPipeline -= 1;
      door.back(tookMs);
      if (outcome) pending.settle(outcome);
      flush();
      if (queue.length > 0) wake(session);
    },
    stop() {
      stopping = true;
      abandon('not_ready');
    },
    discard() {
      discarded = true;
      kept.clear();
      abandon('not_ready');
    },
  };

  /** Frames that will not be sent: their client is told by the lack of an outcome, and sends them again elsewhere. */
  function abandon(code: string): void {
    for (const frame of queue.splice(0)) {
      letGo(frame);
      metrics.refused(code);
    }
    leaveIfDone();
  }

  return session;
}
