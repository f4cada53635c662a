import assert from 'node:assert/strict';
import { mock, test, type TestContext } from 'node:test';
import { letGo, letRest } from '../connectors/kafka/request-queue.ts';
import { copyOfKafkajs } from './support/copy-of-kafkajs.ts';

interface Queue {
  readonly inflight: ReadonlyMap<number, object>;
  push(request: { entry: object; expectResponse: boolean; sendRequest: () => void }): void;
  fulfillRequest(response: { correlationId: number; payload: null; size: number }): void;
  maybeThrottle(ms: number): void;
}

interface Kind {
  new (options: object): Queue;
  readonly prototype: never;
}

const Original = copyOfKafkajs<Kind>('network/requestQueue');
const Resting = copyOfKafkajs<Kind>('network/requestQueue');
letRest(Resting);
const LettingGo = copyOfKafkajs<Kind>('network/requestQueue');
letGo(LettingGo);

const logger = { debug() {}, warn() {} };
const startedAt = 1_700_000_000_000;

/** A queue of this kind, and what has left by it; the clock stands. */
function queueOf(t: TestContext, Kind: Kind, maxInFlightRequests: number | null = null) {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: startedAt });
  t.after(() => mock.timers.reset());
  const timers = t.mock.method(globalThis, 'setTimeout');
  const queue = new Kind({ maxInFlightRequests, requestTimeout: 1_000, enforceRequestTimeout: false, clientId: 'test', broker: 'nowhere', logger });
  const sent: number[] = [];
  const push = (correlationId: number): void =>
    queue.push({ entry: { correlationId, resolve() {}, reject() {} }, expectResponse: true, sendRequest: () => void sent.push(correlationId) });
  const answer = (correlationId: number): void => queue.fulfillRequest({ correlationId, payload: null, size: 0 });
  return { queue, sent, push, answer, timers: () => timers.mock.callCount() };
}

function timersOf(t: TestContext, Kind: Kind): number {
  const { push, answer, timers } = queueOf(t, Kind);
  push(1);
  answer(1);
  return timers();
}

test('kafkajs by itself sets a timer though nothing waits', (t) => {
  assert.equal(timersOf(t, Original), 1);
});

test('a queue in which nothing waits sets no timer', (t) => {
  assert.equal(timersOf(t, Resting), 0);
});

test('a request of a throttled client leaves when the throttle ends', (t) => {
  const { queue, sent, push, timers } = queueOf(t, Resting);
  queue.maybeThrottle(50);
  push(1);
  push(2);
  mock.timers.tick(49);
  assert.deepEqual(sent, []);
  mock.timers.tick(1);
  assert.deepEqual(sent, [1, 2]);
  assert.equal(timers(), 1);
});

test('a throttle that becomes longer meanwhile is kept to', (t) => {
  const { queue, sent, push } = queueOf(t, Resting);
  queue.maybeThrottle(50);
  push(1);
  queue.maybeThrottle(80);
  mock.timers.tick(79);
  assert.deepEqual(sent, []);
  mock.timers.tick(1);
  assert.deepEqual(sent, [1]);
});

test('with as many on their way as may be, the next leaves with the first answer', (t) => {
  const { sent, push, answer } = queueOf(t, Resting, 1);
  push(1);
  push(2);
  assert.deepEqual(sent, [1]);
  answer(1);
  assert.deepEqual(sent, [1, 2]);
});

/** What a request names still of what it was, once it is answered. */
function leftOf(t: TestContext, Kind: Kind): string[] {
  const { queue, push, answer } = queueOf(t, Kind);
  push(1);
  const request = queue.inflight.get(1)!;
  answer(1);
  return Object.entries(request).flatMap(([name, value]) => (typeof value === 'function' || name === 'entry') && value !== null ? [name] : []);
}

test('kafkajs by itself keeps what is answered', (t) => {
  assert.deepEqual(leftOf(t, Original).sort(), ['entry', 'sendRequest', 'timeoutHandler']);
});

test('what is answered names nothing any more of what it was', (t) => {
  assert.deepEqual(leftOf(t, LettingGo), []);
});
