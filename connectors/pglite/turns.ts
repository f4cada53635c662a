/** One client at a time: the engine is a single session, so a transaction must end before another client's begins. */

export interface Turns {
  /** Resolves when it is this client's turn; at once when it has it already. */
  take(client: object): Promise<void>;
  /** The next one's turn. Nothing happens for a client that does not have it. */
  pass(client: object): void;
}

export function turns(): Turns {
  let holder: object | null = null;
  const waiting: { readonly client: object; readonly begin: () => void }[] = [];
  return {
    async take(client) {
      if (holder === client) return;
      if (holder === null) {
        holder = client;
        return;
      }
      await new Promise<void>((begin) => waiting.push({ client, begin }));
    },
    pass(client) {
      if (holder !== client) return;
      const next = waiting.shift();
      holder = next?.client ?? null;
      next?.begin();
    },
  };
}
