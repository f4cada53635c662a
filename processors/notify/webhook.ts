/** Posts an alert to a URL. */
import { SaccadeError } from '../../connectors/errors.ts';
import type { Alert } from '../../schemas/records.ts';
import { signatureOf } from './signature.ts';

export interface Webhook {
  readonly url: string;
  readonly secret: string;
}

const answerWithinMs = 10_000;
/** Worth another try: the receiver is away, slow, or asks to wait. */
const passing = new Set([408, 425, 429]);

/** The body: an alert as it is now, times in ISO 8601. */
export const bodyOf = (alert: Alert): string =>
  JSON.stringify({
    type: `alert.${alert.status}`,
    id: alert.id,
    tenant: alert.tenant,
    source: alert.source,
    kind: alert.kind,
    status: alert.status,
    sentence: alert.sentence,
    features: alert.features,
    models: alert.models,
    started_at: new Date(alert.started_at).toISOString(),
    resolved_at: alert.resolved_at === null ? null : new Date(alert.resolved_at).toISOString(),
    examples: alert.examples,
    windows: alert.windows,
  });

/**
 * Resolves when the receiver has answered 2xx. Headers: `saccade-signature`, and `saccade-delivery`, the same at every repeat of the same
 * news. Throws webhook_unavailable (worth another try) or webhook_refused. No redirect is followed: it would take the alert to
 * where nobody meant it to go.
 */
export async function post(alert: Alert, { url, secret }: Webhook, now: number, signal: AbortSignal): Promise<void> {
  const body = bodyOf(alert);
  let response: Response;
  try {
    response = await fetch(url, {
      method: 'POST',
      body,
      redirect: 'manual',
      headers: { 'content-type': 'application/json', 'saccade-signature': signatureOf(body, secret, now), 'saccade-delivery': `${alert.id}/${alert.status}` },
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]),
    });
  } catch (cause) {
    const why = (cause as Error).name === 'TimeoutError' ? `no answer within ${answerWithinMs / 1000} s` : ((cause as { cause?: Error }).cause?.message ?? (cause as Error).message);
    throw new SaccadeError('webhook_unavailable', `${why}.`, cause);
  }
  // The body is not ours to read; unread it would keep the connection.
  await response.body?.cancel();
  if (response.ok) return;
  throw new SaccadeError(response.status >= 500 || passing.has(response.status) ? 'webhook_unavailable' : 'webhook_refused', `It answered ${response.status}.`);
}
