/** The event stream, kept open: browsers give up on it after some failures, and a dead connection may go unnoticed. */

const SILENT_MS = 6_000;
const RETRY_MS = 2_000;
/** A page nobody sees costs the pipeline as much as one that is watched. */
const HIDDEN_MS = 10_000;

/** `on`: {snapshot, frame, stats, state}; state is connecting, live, lost or paused. */
export function follow(url, on) {
  let source = null;
  let heardAt = 0;
  let everHeard = false;
  let hiddenTimer;

  function open() {
    source?.close();
    heardAt = performance.now();
    on.state(everHeard ? 'lost' : 'connecting');
    source = new EventSource(url);
    for (const type of ['snapshot', 'frame', 'stats']) {
      source.addEventListener(type, ({ data }) => {
        heardAt = performance.now();
        everHeard = true;
        on.state('live');
        on[type](JSON.parse(data));
      });
    }
    source.addEventListener('error', () => on.state('lost'));
  }

  setInterval(() => {
    if (!source) return;
    const silent = performance.now() - heardAt;
    // An answer other than an event stream (a proxy's error page, say) ends it for good.
    if (silent > SILENT_MS || (source.readyState === EventSource.CLOSED && silent > RETRY_MS)) open();
  }, RETRY_MS);

  document.addEventListener('visibilitychange', () => {
    clearTimeout(hiddenTimer);
    if (!document.hidden) {
      if (!source) open();
      return;
    }
    hiddenTimer = setTimeout(() => {
      source?.close();
      source = null;
      on.state('paused');
    }, HIDDEN_MS);
  });
  open();
}
