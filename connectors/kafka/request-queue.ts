/**
 * Two mends of kafkajs's queue of requests.
 *
 * It rests. Each of its connections has a queue of requests that wait until the broker throttles less; it looks at it
 * by a timer that sets the next one whether or not anything waits, so that every connection wakes the process each millisecond,
 * for ever. Here the timer is set when something waits: what comes later sets it itself, and an answer looks at the queue anyway.
 *
 * It lets go of what is answered. A Map that many come into and go from is copied again and again, and each copy that is given up
 * names the next: once one of them is old, all that was ever in work lives until the whole heap is collected (garbage keeps garbage),
 * here with its bytes and with all that waited for it.
 *
 * It reaches into kafkajs 2.2.4, which is pinned; test/request-queue.test.ts shows what kafkajs does by itself.
 */
import { createRequire } from 'node:module';

interface SocketRequest {
  entry: unknown;
  sendRequest: unknown;
  timeoutHandler: unknown;
}

interface RequestQueue {
  readonly inflight: ReadonlyMap<number, SocketRequest>;
  readonly pending: readonly unknown[];
  /** Milliseconds since the epoch; -1: it was never throttled. */
  readonly throttledUntil: number;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
  fulfillRequest(response: { readonly correlationId: number }): void;
}

/** While too many are on their way: a second look beside the one with each answer, as kafkajs has it. */
const lookAgainMs = 10;

export function letRest({ prototype }: { readonly prototype: RequestQueue }): void {
  prototype.scheduleCheckPendingRequests = function () {
    if (this.pending.length === 0 || this.throttleCheckTimeoutId) return;
    const throttledMs = this.throttledUntil - Date.now();
    const look = (): void => {
      this.throttleCheckTimeoutId = null;
      this.checkPendingRequests();
    };
    this.throttleCheckTimeoutId = setTimeout(look, throttledMs > 0 ? throttledMs : lookAgainMs);
  };
}

export function letGo({ prototype }: { readonly prototype: RequestQueue }): void {
  const { fulfillRequest } = prototype;
  prototype.fulfillRequest = function (response) {
    const request = this.inflight.get(response.correlationId);
    fulfillRequest.call(this, response);
    if (request) request.entry = request.sendRequest = request.timeoutHandler = null;
  };
}

const queue = createRequire(import.meta.url)('kafkajs/src/network/requestQueue') as { readonly prototype: RequestQueue };
letRest(queue);
letGo(queue);
