/**
 * Which partition of `replies` is whose: each edge leases one in a table that all edges read, so that none reads another's
 * replies. A lease that is not renewed lapses. Where there are more edges than partitions, some share: no answer goes
 * astray by that, as requests have ids; the edges that share only read more than is theirs.
 */
import type { Clock } from '../../connectors/ports.ts';

/** The part of a control table (processors/runtime) that a lease needs. */
export interface LeaseTable {
  entries(): ReadonlyMap<string, Buffer>;
  put(key: string, value: Buffer | null): Promise<void>;
  caughtUp(): Promise<void>;
  close(): Promise<void>;
}

export interface ReplyLease {
  readonly partition: number;
  /** Other edges that hold the same one. */
  readonly sharedWith: number;
  /** Stops renewing, and gives it up at once. */
  release(): Promise<void>;
}

export interface LeaseOptions {
  readonly open: () => Promise<LeaseTable>;
  readonly partitions: number;
  /** Names the edge among all there ever were. */
  readonly holder: string;
  readonly clock: Clock;
}

interface Claim {
  readonly partition: number;
  /** When the partition was chosen, and when that was last confirmed; milliseconds since the epoch, by the holder's clock. */
  readonly since: number;
  readonly at: number;
}

/** Clocks of machines differ by less than what lies between these two. */
export const leaseMs = 30_000;
export const renewEveryMs = 5_000;
/** Leases of edges that died are cleared away by whoever finds them this old. */
const forgottenMs = 600_000;

function parse(value: Buffer): Claim | null {
  try {
    const { partition, since, at } = JSON.parse(value.toString()) as Claim;
    return [partition, since, at].every(Number.isFinite) ? { partition, since, at } : null;
  } catch {
    return null;
  }
}

/** Throws log_unavailable. */
export async function leasePartition({ open, partitions, holder, clock }: LeaseOptions): Promise<ReplyLease> {
  const table = await open();
  const write = (claim: Claim): Promise<void> => table.put(holder, Buffer.from(JSON.stringify(claim)));

  /** The claims of other edges that have not lapsed, with their holders. */
  const others = (): (Claim & { readonly by: string })[] =>
    [...table.entries()].flatMap(([by, value]) => {
      const claim = by === holder ? null : parse(value);
      return claim && clock.now() - claim.at < leaseMs ? [{ ...claim, by }] : [];
    });

  /** The emptiest, looked at from a place of its own, so that edges that start together do not all choose the same. */
  function choose(): { partition: number; crowd: number } {
    const start = Number.parseInt(holder.replaceAll(/[^0-9a-f]/g, '').slice(0, 8) || '0', 16) % partitions;
    const held = others();
    const options = Array.from({ length: partitions }, (_, i) => (start + i) % partitions).map((partition) => ({ partition, crowd: held.filter((claim) => claim.partition === partition).length }));
    return options.reduce((best, option) => (option.crowd < best.crowd ? option : best));
  }

  /** Whoever chose first keeps it; the ids decide between equals. */
  const lostTo = (mine: Claim): boolean =>
    others().some(({ partition, since, by }) => partition === mine.partition && (since < mine.since || (since === mine.since && by < holder)));

  async function take(): Promise<Claim> {
    for (;;) {
      const { partition, crowd } = choose();
      const now = clock.now();
      const claim = { partition, since: now, at: now };
      await write(claim);
      await table.caughtUp();
      if (crowd > 0 || !lostTo(claim)) return claim;
    }
  }

  async function clear(): Promise<void> {
    const old = [...table.entries()].filter(([, value]) => clock.now() - (parse(value)?.at ?? 0) > forgottenMs);
    await Promise.all(old.map(([by]) => table.put(by, null)));
  }

  let claim: Claim;
  let sharedWith: number;
  try {
    claim = await take();
    sharedWith = others().filter(({ partition }) => partition === claim.partition).length;
    await clear();
  } finally {
    // Renewing needs no reading.
    await table.close();
  }

  const releasing = new AbortController();
  const renewing = (async () => {
    while (!releasing.signal.aborted) {
      await clock.sleep(renewEveryMs, releasing.signal);
      // One that fails is followed by the next; a lease that lapses meanwhile is at worst shared.
      if (!releasing.signal.aborted) await write({ ...claim, at: clock.now() }).catch(() => {});
    }
  })();

  return {
    partition: claim.partition,
    sharedWith,
    async release() {
      releasing.abort();
      await renewing;
      await table.put(holder, null).catch(() => {});
    },
  };
}
