/** A door that many pass together, or one alone: a readers-writer lock, first come first served, so that neither waits for ever. */

export interface Gate {
  together<T>(run: () => Promise<T>): Promise<T>;
  /** Begins when everybody is out, and nobody else begins before it has ended. */
  alone<T>(run: () => Promise<T>): Promise<T>;
}

export function gate(): Gate {
  const line: { readonly alone: boolean; enter(): void }[] = [];
  let inside = 0;
  let closed = false;

  function admit(): void {
    for (let next = line[0]; next && !closed && (inside === 0 || !next.alone); next = line[0]) {
      line.shift();
      inside += 1;
      closed = next.alone;
      next.enter();
    }
  }

  async function pass<T>(alone: boolean, run: () => Promise<T>): Promise<T> {
    await new Promise<void>((enter) => {
      line.push({ alone, enter });
      admit();
    });
    try {
      return await run();
    } finally {
      inside -= 1;
      closed = false;
      admit();
    }
  }

  return { together: (run) => pass(false, run), alone: (run) => pass(true, run) };
}
