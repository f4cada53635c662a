/** The event stream, kept open: a dead connection may go unnoticed, and one that failed is tried again. */
import { readEvents } from './event-stream.js';

const SILENT_MS = 6_000;
const RETRY_MS = 2_000;
/** A page nobody sees costs the pipeline as much as one that is watched. */
const HIDDEN_MS = 10_000;

/** `on`: {snapshot, frame, stats, state}; state is connecting, live, lost or paused. */
export function follow(url, on) {
  let current = null;
  let heardAt = 0;
  let everHeard = false;
  let hiddenTimer;

  function open() {
    current?.abort();
    const mine = new AbortController();
    current = mine;
    heardAt = performance.now();
    on.state(everHeard ? 'lost' : 'connecting');
    const heard = (type, data) => {
      heardAt = performance.now();
      if (mine.signal.aborted || !(type in on) || data === '') return;
      everHeard = true;
      on.state('live');
      on[type](JSON.parse(data));
    };
    readEvents(url, heard, mine.signal)
      .catch(() => {})
      .then(() => {
        if (current !== mine || mine.signal.aborted) return;
        on.state('lost');
        setTimeout(() => current === mine && open(), RETRY_MS);
      });
  }

  setInterval(() => {
    // While it waits for a key nothing can be heard; opening it anew would only ask again.
    if (current && everHeard && performance.now() - heardAt > SILENT_MS) open();
  }, RETRY_MS);

  document.addEventListener('visibilitychange', () => {
    clearTimeout(hiddenTimer);
    if (!document.hidden) {
      if (!current) open();
      return;
    }
    hiddenTimer = setTimeout(() => {
      current?.abort();
      current = null;
      on.state('paused');
    }, HIDDEN_MS);
  });
  open();
}
