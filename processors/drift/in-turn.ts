/** Work that must not be begun before other work of the same kind has ended: each waits for those that asked before it. */
export function inTurn(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const own = last.then(work);
    // Whoever asked is told of a failure; the next one has no part in it.
    last = own.catch(() => undefined);
    return own;
  };
}
