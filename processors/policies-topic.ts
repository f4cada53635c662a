/** The topic `policies`, read: whose pictures are shown with which covering, as it stands now. */
import type { Clock, Log, LogProducer } from '../connectors/ports.ts';
import { type Covering, encodeCovering, policiesTopic, readPolicy } from '../schemas/policies.ts';
import { coveringFor, type MaskPolicy } from './mask/policy.ts';
import { type ControlTable, followTable } from './runtime/control-table.ts';
import { glance } from './runtime/glance.ts';

export interface Policies {
  /** That of the settings, with what tenants have been given since. */
  mask(): MaskPolicy;
  /** What the tenant has been given since; null: it is as the settings say. */
  given(tenant: string): Covering | null;
  /** Null takes it back. Resolves once this process goes by it, as the others do in a moment. Throws log_unavailable. */
  give(tenant: string, covering: Covering | null): Promise<void>;
  close(): Promise<void>;
}

export interface PoliciesOptions {
  readonly log: Log;
  readonly producer: LogProducer;
  readonly clock: Clock;
  readonly settings: MaskPolicy;
  readonly say: (message: string) => void;
  /** Told when it is another policy than before. */
  readonly changed?: () => void;
}

/** Of a tenant for whom something is written that cannot be read. What it had before may be known to nobody any more, since the topic keeps the last value alone. */
const covered = (before: Covering): Covering => (before === 'off' ? 'pixelate' : before);

/** Resolves when all that is written has been read. Throws log_unavailable. */
export async function followPolicies({ log, producer, clock, settings, say, changed = () => {} }: PoliciesOptions): Promise<Policies> {
  const own = new Map<string, Covering>();
  let policy = settings;
  const table: ControlTable = await followTable({
    log, producer, clock,
    topic: policiesTopic,
    changed(tenant, value) {
      const read = value && readPolicy(value);
      if (value && !read) say(`the topic ${policiesTopic} holds nonsense for ${tenant}, whose faces are covered until it is set anew`);
      if (value) own.set(tenant, read?.faces ?? covered(coveringFor(policy, tenant)));
      else own.delete(tenant);
      policy = { ...settings, tenants: new Map([...settings.tenants, ...own]) };
      changed();
    },
  });
  return {
    mask: () => policy,
    given: (tenant) => own.get(tenant) ?? null,
    async give(tenant, covering) {
      await table.put(tenant, encodeCovering(covering));
      await table.caughtUp();
    },
    close: () => table.close(),
  };
}

/** As it is written when it is first asked for: a command's, however many pictures it shows. Rejects with log_unavailable. */
export function policyAsked({ topics, log, ...options }: AskedOptions): () => Promise<MaskPolicy> {
  let asked: Promise<MaskPolicy> | null = null;
  const now = (): Promise<MaskPolicy> =>
    glance({ log, topics }, policiesTopic, options.settings, (producer) => followPolicies({ ...options, log, producer }), (policies) => policies.mask());
  return () => (asked ??= now());
}

type AskedOptions = Omit<PoliciesOptions, 'changed' | 'producer'> & { readonly topics: () => Promise<readonly string[]> };
