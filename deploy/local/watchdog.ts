/**
 * Ends this process when the one that started it is gone. bootstrap.mjs starts main with an IPC channel: the kernel closes
 * it however bootstrap ends, kill -9 included. Bootstrap also closes it to ask for an orderly end, so that a Ctrl-C,
 * which a terminal sends to both, does not reach main twice.
 */

/** How long an orderly end may take, in milliseconds. */
const limitMs = 25_000;

/** Calls `end` once when the parent is gone. Without a parent that holds the channel, nothing happens. */
export function endWithParent(end: (why: string) => void): void {
  if (process.env.SACCADE_TIED === undefined) return;
  // Processes started from here are not tied by it.
  delete process.env.SACCADE_TIED;
  const ended = (): void => {
    end('the process that started this one has gone or asks for the end');
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), limitMs).unref();
  };
  if (!process.connected) return ended();
  process.once('disconnect', ended);
  // The listener alone would keep the process alive for ever.
  process.channel?.unref();
}
