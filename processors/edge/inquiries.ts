/** Pictures into `frames`, their answers back from `replies`: what every door for pictures has in common. */
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import type { Clock, LogProducer, OutgoingRecord, SchemaRegistry } from '../../connectors/ports.ts';
import { answered } from '../../schemas/answered.ts';
import { sniffImage } from '../../schemas/image-type.ts';
import type { FrameIdentity, Prediction } from '../../schemas/records.ts';
import { overflowTopic } from '../../schemas/topics.ts';
import { accept, type AcceptRules, checkModel } from '../ingest/accept.ts';
import type { Quota } from '../ingest/quota.ts';
import type { EdgeConfig } from './config.ts';
import { gathering } from './gathering.ts';
import type { FindKnown, KnownPicture, SeenPicture } from './known-pictures.ts';
import { type Door, tooMany } from './pace.ts';
import type { Asker } from './shares.ts';
import { type Paces, toldBy } from './paces.ts';
import type { RecentResults } from './recent-results.ts';
import { requestSource as source } from './scope.ts';
import type { Expected, ReplyDesk } from './reply-desk.ts';
import type { Identified, UsedKeys } from './used-keys.ts';

export interface Inquiry {
  readonly image: Buffer;
  /** One that is served, or the inquiry fails with unknown_model. */
  readonly model: string;
  /** The client's own name for it: under one key a repeat is the same frame, and anything else idempotency_key_reused. */
  readonly key: string | null;
}

/** Whose inquiries they are, and how they are to be answered. */
export interface Inquirer extends Asker {
  readonly traceparent: string;
  /** Milliseconds since the epoch; what is not answered within the request timeout from then on is deadline_exceeded. */
  readonly startedAt: number;
  /** The same from the client, in milliseconds, where that is less; absent: it waits as long as the edge does. */
  readonly timeoutMs?: number | undefined;
  /** False: nobody waits for the answers, so nothing is dropped because it is late. */
  readonly waits: boolean;
}

export interface AcceptedInquiry {
  /** Of the frame. */
  readonly id: string;
  readonly model: string;
  /** When the edge took it in, and when the log had it. Milliseconds since the epoch. */
  readonly acceptedAt: number;
  readonly ackedAt: number;
  /** Rejects with deadline_exceeded, not_ready. */
  readonly answer: Promise<Prediction>;
}

export interface InquiriesOptions {
  readonly rules: AcceptRules;
  readonly producer: LogProducer;
  readonly registry: SchemaRegistry;
  readonly desk: ReplyDesk;
  readonly clock: Clock;
  readonly config: EdgeConfig;
  readonly paces: Paces;
  /** Null: none. */
  readonly quota: Pick<Quota, 'take'> | null;
  readonly results: RecentResults;
  readonly keys: UsedKeys;
  /** Absent: nothing is ever known. */
  readonly known?: FindKnown | undefined;
  /** Told of a picture that is answered without becoming a record of `frames`. */
  readonly seen?: (picture: SeenPicture) => void;
}

export interface Inquiries {
  /**
   * All that can be accepted, in one send; resolves when the log has them. One result for each, in order: what is wrong with
   * a picture is its own. Throws what is wrong with all of them: not_ready, overloaded, log_unavailable.
   */
  ask(inquiries: readonly Inquiry[], inquirer: Inquirer): Promise<(AcceptedInquiry | SaccadeError)[]>;
  /** Resolves when what was let in before the call is in the log, or refused. */
  settled(): Promise<void>;
  /**
   * Whether a picture of theirs whose answer is waited for, for whichever of the models, would be overloaded now: counts it as one that is
   * refused. Null: whose is not known; one of a `stranger`, who would not be let in for want of a credential, is no sign of an overload.
   */
  turnsAway(models: readonly string[], who: Asker | null, stranger?: boolean): boolean;
}

/** How long the answer to a request that nobody waits for is listened for; then it is in the store alone. */
const listenMs = 10 * 60_000;

const nothing = (): void => {};

const isForStages = (topic: string): boolean => topic === 'frames' || topic === overflowTopic;

interface Prepared {
  readonly id: string;
  readonly model: string;
  readonly acceptedAt: number;
  readonly expected: Pick<Expected, 'answer' | 'cancel'>;
  /** To be called when it is back from the pipeline; null: it is not there, or nobody waits for it. */
  readonly back: Door['back'] | null;
  readonly record: OutgoingRecord;
}

export function openInquiries({ rules, producer, registry, desk, clock, config, paces, quota, results, keys, known = async (_tenant, _source, pictures) => pictures.map(() => null), seen }: InquiriesOptions): Inquiries {
  /** Of requests that wait: a request is bounded by the gate, what it may hold of pictures is not. */
  let awaited = 0;
  // What is known already waits behind nobody.
  const ahead = (topics: readonly string[]): number => (awaited < config.gatherFrom || !topics.some(isForStages) ? 0 : awaited);
  const log = gathering(producer, { clock, ahead, everyMs: config.gatherMs });

  function turnsAway(models: readonly string[], who: Asker | null, stranger = false): boolean {
    const doors = models.map((model) => paces.known(model));
    if (!doors.every((of) => of?.tooMany(who)) || doors.length === 0) return false;
    if (!stranger) doors.forEach((of) => of?.requests.turnedAway());
    return true;
  }

  const sending = new Set<Promise<unknown>>();

  /** What is known needs no stage: its outcome is what goes into the log. Throws unknown_model, model_unloading, as accept() does. */
  async function recall(id: string, { image, model }: Inquiry, { answer, fallbackFor, ms }: KnownPicture, { tenant, traceparent }: Inquirer): Promise<Prepared> {
    checkModel(model, rules);
    const acceptedAt = clock.now();
    const content_type = sniffImage(image) ?? '';
    const frame: FrameIdentity = { tenant, source, sequence: null, captured_at: acceptedAt, accepted_at: acceptedAt, deadline: null, reply: null };
    const picture = { content_type, size: image.length, claim: null, place: null };
    const prediction = answered(id, { ...frame, picture }, model, answer, { fallbackFor, timings_ms: { cache: ms }, at: acceptedAt });
    const value = await registry.encode('predictions', prediction);
    seen?.({ id, tenant, source, models: [model], content_type, image, claim: null });
    return { id, model, acceptedAt, expected: { answer: Promise.resolve(prediction), cancel() {} }, back: null, record: { topic: 'predictions', key: source, value, headers: { traceparent } } };
  }

  async function prepare(id: string, { image, model }: Inquiry, { tenant, id: asker, traceparent, startedAt, timeoutMs = Number.POSITIVE_INFINITY, waits }: Inquirer): Promise<Prepared> {
    const deadline = waits ? startedAt + Math.min(config.requestTimeoutMs, timeoutMs) : null;
    const expected = desk.expect(deadline ?? startedAt + listenMs, waits);
    const back = waits && rules.models.includes(model) ? paces.of(model).enter({ tenant, id: asker }) : null;
    // Nobody awaits the answer yet; if its time is up before the frame is sent, that must not count as unhandled.
    expected.answer.catch(() => {});
    try {
      const acceptedAt = clock.now();
      const frame = await accept({ id, tenant, source, sequence: null, capturedAt: acceptedAt, acceptedAt, image, models: [model], deadline, reply: expected.replyTo }, rules);
      // What a tenant sends over HTTP is one source; without an order to keep, each request above its quota goes over for itself.
      const topic = quota === null || quota.take(`${source}/${tenant}`, acceptedAt) ? 'frames' : overflowTopic;
      const value = await registry.encode(topic, frame);
      // Requests have no order to keep: by an id as the key they spread over the partitions (gathering.ts).
      return { id, model, acceptedAt, expected, back, record: { topic, key: id, value, headers: { traceparent } } };
    } catch (error) {
      // A frame that was never sent has no answer: its place is for another request.
      expected.cancel();
      back?.(null);
      throw error;
    }
  }

  /** Resolves when all that can be accepted is in the log. Throws what is wrong with all of them. */
  async function send(inquiries: readonly Inquiry[], identified: readonly (Identified | SaccadeError)[], inquirer: Inquirer): Promise<(Prepared | SaccadeError)[]> {
    const found = await known(inquirer.tenant, source, inquiries);
    // One of many pictures is let in where one is: it would wait for ever for so much room.
    if (inquirer.waits && inquiries.some(({ model }, i) => !found[i] && turnsAway([model], inquirer))) throw tooMany();
    const prepared = await Promise.all(
      inquiries.map(async (inquiry, i) => {
        const one = identified[i]!;
        if (one instanceof SaccadeError) return one;
        return (found[i] ? recall(one.id, inquiry, found[i], inquirer) : prepare(one.id, inquiry, inquirer)).catch((error: unknown) => asSaccadeError(error));
      }),
    );
    const sendable = prepared.filter((one): one is Prepared => !(one instanceof SaccadeError));
    try {
      if (sendable.length > 0) await log.send(sendable.map(({ record }) => record));
    } catch (error) {
      for (const { expected, back } of sendable) {
        expected.cancel();
        back?.(null);
      }
      throw error;
    }
    return prepared;
  }

  /** A function of its own: what waits for the answer, for minutes where nobody else does, must hold neither the picture nor its record. */
  function follow({ id, model, acceptedAt, expected, back }: Prepared, ackedAt: number, alone: boolean, { tenant, waits }: Inquirer): AcceptedInquiry {
    const { answer } = expected;
    results.accepted(tenant, id, model);
    if (waits) awaited += 1;
    const took = (): number => clock.now() - acceptedAt;
    const done = (tookMs: number | null): void => {
      if (waits) awaited -= 1;
      log.progress();
      // What came with company took its company's time.
      back?.(alone ? tookMs : null);
    };
    answer.then((prediction) => (done(toldBy(prediction, took())), results.settled(tenant, prediction)), () => done(took()));
    return { id, model, acceptedAt, ackedAt, answer };
  }

  return {
    turnsAway,
    settled: async () => void (await Promise.allSettled(sending)),
    async ask(inquiries, inquirer) {
      // A request with more pictures than may ever wait is let in alone, or it would be refused for ever.
      if (inquirer.waits && awaited > 0 && awaited + inquiries.length > config.maxAwaited) throw new SaccadeError('overloaded', `${awaited} pictures wait for their answers.`);
      const identified = await keys.identify(inquirer.tenant, source, inquiries);
      let prepared: readonly (Prepared | SaccadeError)[] = [];
      try {
        const work = send(inquiries, identified, inquirer);
        // Of what is sent nothing: what a set gives up may live on for a while.
        const sent = work.then(nothing, nothing);
        sending.add(sent);
        prepared = await work.finally(() => sending.delete(sent));
      } finally {
        identified.forEach((one, i) => one instanceof SaccadeError || one.done(prepared[i] !== undefined && !(prepared[i] instanceof SaccadeError)));
      }
      const [ackedAt, alone] = [clock.now(), inquiries.length === 1];
      return prepared.map((one) => (one instanceof SaccadeError ? one : follow(one, ackedAt, alone, inquirer)));
    },
  };
}

/** Where the outcome of an accepted frame will be, for any edge: one that has not accepted it itself goes by the time. */
export const resultAt = ({ id, model, acceptedAt }: Pick<AcceptedInquiry, 'id' | 'model' | 'acceptedAt'>): string =>
  `/v1/results/${id}?model=${encodeURIComponent(model)}&accepted=${acceptedAt}`;
