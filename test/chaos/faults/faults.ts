/** How each fault is made, and unmade. */
import type { World } from '../world/world.ts';
import { familyOf } from '../world/world.ts';
import type { Fault, FaultKind } from './plan.ts';

interface Making {
  begin(world: World, fault: Fault): Promise<unknown> | unknown;
  /** Resolves when the fault is over: what was away can be reached, what was killed has been started again. */
  end(world: World, fault: Fault): Promise<unknown> | unknown;
}

/** What a slow store takes for each piece of a question or an answer, in milliseconds. */
const slowMs = 1_500;

const target = (world: World, { target: name }: Fault) => world.members.get(name!)!;

const away = (part: 'registry' | 'store' | 'cache'): Making => ({
  begin: (world, { how }) => world.proxies[part]?.set({ kind: how ?? 'refused' }),
  end: (world) => world.proxies[part]?.set({ kind: 'open' }),
});

const restarts = new WeakMap<Fault, Promise<void>>();

export const making: Record<FaultKind, Making> = {
  kill: {
    begin(world, fault) {
      restarts.set(fault, target(world, fault).restarted());
      target(world, fault).signal('SIGKILL');
    },
    end: (_world, fault) => restarts.get(fault),
  },
  stop: {
    begin: (world, fault) => target(world, fault).signal('SIGSTOP'),
    end: (world, fault) => target(world, fault).signal('SIGCONT'),
  },
  member: {
    begin: (world, fault) => world.join(familyOf(fault.target!)),
    end: (world, fault) => world.leave(familyOf(fault.target!)),
  },
  broker_restart: { begin: ({ broker }) => broker.stop(), end: ({ broker }) => broker.start() },
  broker_kill: { begin: ({ broker }) => broker.kill(), end: ({ broker }) => broker.start() },
  store_away: away('store'),
  store_kill: { begin: (world) => world.killStore(), end: (world) => world.storeAnswers() },
  store_slow: {
    begin: (world) => world.proxies.store.set({ kind: 'slow', ms: slowMs }),
    end: (world) => world.proxies.store.set({ kind: 'open' }),
  },
  registry_away: away('registry'),
  cache_away: away('cache'),
  objects_away: { begin: ({ objects }) => objects.leave(), end: ({ objects }) => objects.comeBack() },
  disk_full: { begin: ({ objects }) => objects.fill(), end: ({ objects }) => objects.empty() },
};
