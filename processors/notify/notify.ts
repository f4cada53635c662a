/**
 * The stage that tells somebody: each alert that opens or resolves goes to the webhook, in order. It waits for a receiver that is
 * away by itself and not through the runtime, since nothing of the pipeline is in trouble then and /ready must not say so.
 */
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import type { Clock } from '../../connectors/ports.ts';
import type { Alert } from '../../schemas/records.ts';
import { emit, type Outcome, reject, retry, type Stage } from '../stage.ts';
import { post, type Webhook } from './webhook.ts';

export interface NotifyOptions {
  readonly webhook: Webhook;
  readonly clock: Clock;
  readonly log: { warn(details: object, message: string): void };
  /** Milliseconds between tries, doubling from the first to the last. */
  readonly waits?: { readonly first: number; readonly last: number };
  /** After so long a receiver that is away is given up, and the alert goes to the dead letters, from where it can be replayed. */
  readonly giveUpAfterMs?: number;
}

const defaultWaits = { first: 1_000, last: 300_000 };
const aDay = 86_400_000;

/** Reads `alerts`, and has no outputs: an input emits nothing once the receiver has it. */
export function notifyStage({ webhook, clock, log, waits = defaultWaits, giveUpAfterMs = aDay }: NotifyOptions): Stage<Alert> {
  let waiting = false;
  /** What was last told of each open alert: that it spreads to a feature more is for the page, not for a pager. */
  const told = new Map<string, Alert['status']>();

  async function deliver(alert: Alert, signal: AbortSignal): Promise<Outcome> {
    if (told.get(alert.id) === alert.status) return emit();
    const until = clock.now() + giveUpAfterMs;
    for (let wait = waits.first; ; wait = Math.min(waits.last, 2 * wait)) {
      try {
        await post(alert, webhook, clock.now(), signal);
        if (alert.status === 'firing') told.set(alert.id, 'firing');
        else told.delete(alert.id);
        return emit();
      } catch (cause) {
        const error = asSaccadeError(cause);
        // Whoever has the partition next tells it again; receivers know a repeat by saccade-delivery.
        if (signal.aborted) return retry(error);
        if (error.code === 'webhook_refused') return reject(error);
        if (clock.now() >= until) return reject(new SaccadeError('webhook_refused', `Given up after ${Math.round(giveUpAfterMs / 60_000)} min: ${error.detail}`, error));
        log.warn({ alert: alert.id, error: error.detail, retryInMs: wait }, 'the webhook does not take the alert');
        waiting = true;
        await clock.sleep(wait, signal);
        waiting = false;
      }
    }
  }

  return {
    name: 'notify',
    batch: { records: 1, bytes: 1024 * 1024, waitMs: 0, concurrency: 1 },
    resting: () => waiting,
    process: (inputs, signal) => Promise.all(inputs.map(({ value }) => deliver(value, signal))),
  };
}
