/**
 * The value under a key, made when absent; beyond `limit` the key longest unused goes. Sources and models are named by
 * whoever produces, so what is kept by name must have a limit.
 */
export function recentlyUsed<T>(limit: number, make: (key: string) => T): { get(key: string): T; entries(): [string, T][] } {
  const held = new Map<string, T>();
  return {
    get(key) {
      const value = held.get(key) ?? make(key);
      held.delete(key);
      held.set(key, value);
      if (held.size > limit) held.delete(held.keys().next().value!);
      return value;
    },
    entries: () => [...held],
  };
}
