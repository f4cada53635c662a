/** Server-sent events by fetch: an EventSource sends no headers, and so no key. */
import { authorised } from './access.js';

/**
 * Calls `on(type, data)` for each event until the stream ends, which resolves it, or `signal` aborts it. Rejects where
 * something else than an event stream answers. The format: html.spec.whatwg.org, 9.2.
 */
export async function readEvents(url, on, signal) {
  const response = await authorised(url, { headers: { accept: 'text/event-stream' }, cache: 'no-store', signal });
  const type = response.headers.get('content-type') ?? '';
  if (!response.ok || !type.startsWith('text/event-stream')) {
    await response.body?.cancel();
    throw new Error(`${url} answered ${response.status} ${type}`);
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    // An event ends with an empty line; what follows the last one is not all there yet.
    const events = rest.split('\n\n');
    rest = events.pop();
    for (const event of events) take(event, on);
  }
}

function take(event, on) {
  let type = 'message';
  const data = [];
  for (const line of event.split('\n')) {
    if (line.startsWith('event: ')) type = line.slice(7);
    else if (line.startsWith('data: ')) data.push(line.slice(6));
  }
  on(type, data.join('\n'));
}
