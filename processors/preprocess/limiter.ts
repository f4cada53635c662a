/** Runs tasks at most `width` at a time, in the order they came. */
export function limiter(width: number): <T>(task: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (task) => {
    if (running >= width) await new Promise<void>((go) => waiting.push(go));
    else running++;
    try {
      return await task();
    } finally {
      // The place is handed over, not freed and taken again: a newcomer can't slip in between.
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  };
}
