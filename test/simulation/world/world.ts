/** Everything the simulated processes share, and the faults that strike them from outside. */
import { admissionTopic, topicSpecs } from '../../../schemas/topics.ts';
import type { Broken } from '../broken/broken.ts';
import { createProducers, type Producers } from '../offer/producers.ts';
import type { Page } from '../process/journal.ts';
import { type Node, startNode } from '../process/node.ts';
import { createBroker, type Broker } from './broker.ts';
import { createFacts, type Facts } from './facts.ts';
import { createGroups, type Groups } from './groups.ts';
import { createJudge, type Judge } from './judge.ts';
import { type Random, seededRandom } from './random.ts';
import { drawScenario, models, type ProcessPlan, type Scenario } from './scenario.ts';
import { scheduler, type Scheduler } from './scheduler.ts';
import { createTable, type Table } from './table.ts';
import { type Weather, weatherOf } from './weather.ts';

export interface World {
  readonly scenario: Scenario;
  readonly random: Random;
  readonly time: Scheduler;
  readonly weather: Weather;
  readonly broker: Broker;
  readonly groups: Groups;
  readonly table: Table;
  readonly blobs: Map<string, Buffer>;
  readonly journal: Set<Page>;
  readonly facts: Facts;
  readonly judge: Judge;
  readonly producers: Producers;
  readonly broken: Broken;
  readonly counts: { crashes: number };
  /** Who did what, for the schedule of a seed. */
  note(who: string, what: string): void;
  /** Consumers that can be thrown out of their group. */
  onKick(kick: () => void): void;
  start(): void;
  /** All that was offered is consumed and committed. */
  readonly atRest: boolean;
}

export function createWorld(seed: number, broken: Broken, schedule: ((at: number, who: string, what: string) => void) | null): World {
  const random = seededRandom(seed);
  const scenario = drawScenario(random);
  const time = scheduler();
  const weather = weatherOf(scenario, random, time);
  const note = (who: string, what: string): void => schedule?.(time.now, who, what);
  const topics = topicSpecs(models, { partitions: scenario.partitions, replication: 1, minInSync: 1, maxRecordBytes: 1 }).map(({ name }) => name);
  const broker = createBroker(topics, scenario.partitions, time);
  const groups = createGroups(broker, random, note);
  const table = createTable(note);
  const facts = createFacts(table);
  const judge = createJudge({ facts, table, scenario }, broker, groups, () => time.now);
  const kicks: (() => void)[] = [];

  /** Its supervisor starts it again, whatever ended it. */
  function supervise(plan: ProcessPlan, birth: number, nodes: Map<string, Node>): void {
    const fused = plan.fused && (scenario.fuseAt === null || time.now >= scenario.fuseAt);
    const node = startNode(world, { ...plan, fused }, birth);
    nodes.set(plan.name, node);
    node.life.onEnd(() => time.after(random.between(50, 4_000), () => supervise(plan, birth + 1, nodes)));
  }

  function nowAndThen(meanMs: number, strike: () => void): void {
    if (!Number.isFinite(meanMs)) return;
    time.after(random.between(0, 2 * meanMs), () => {
      if (!weather.stormy()) return;
      strike();
      nowAndThen(meanMs, strike);
    });
  }

  const world: World = {
    scenario,
    random,
    time,
    weather,
    broker,
    groups,
    table,
    blobs: new Map(),
    journal: new Set(),
    facts,
    judge,
    broken,
    counts: { crashes: 0 },
    note,
    onKick: (kick) => void kicks.push(kick),
    get producers() {
      return producers;
    },
    start() {
      const nodes = new Map<string, Node>();
      const { rates } = scenario;
      for (const plan of scenario.processes) time.after(random.between(0, 3_000), () => supervise(plan, 1, nodes));
      producers.start();
      if (scenario.fuseAt !== null) time.after(scenario.fuseAt, () => nodes.forEach(({ life }) => life.end('is ended, to come back fused')));
      const one = (): Node | undefined => (nodes.size > 0 ? random.pick([...nodes.values()]) : undefined);
      nowAndThen(rates.crashEveryMs, () => {
        const node = one();
        if (!node?.life.alive) return;
        world.counts.crashes += 1;
        node.life.end('CRASH');
      });
      nowAndThen(rates.stopEveryMs, () => one()?.stop());
      nowAndThen(rates.kickEveryMs, () => kicks.length > 0 && random.pick(kicks.slice(-20))());
      nowAndThen(rates.clockJumpEveryMs, () => {
        const node = one();
        const jump = Math.floor(random.between(-1, 1) * random.pick([100, 10_000, 3_600_000]));
        note(node?.life.name ?? 'nobody', `clock JUMPS by ${jump} ms`);
        node?.life.jumpClock(jump);
      });
      time.after(scenario.calmAt, () => note('weather', 'no new fault from here on'));
    },
    get atRest() {
      if (!producers.done || groups.find('saccade.ingest') === undefined) return false;
      const consumed = topics.filter((topic) => topic !== 'replies' && topic !== admissionTopic && !topic.endsWith('.dlq'));
      const byTopic = new Map([...groups.all()].map((group) => [group.topic, group]));
      return consumed.every((topic) => {
        const group = byTopic.get(topic);
        return Array.from({ length: scenario.partitions }, (_, partition) => partition).every(
          (partition) => broker.end({ topic, partition }) === 0 || (group?.committed.get(partition) ?? 0) === broker.end({ topic, partition }),
        );
      });
    },
  };
  const producers = createProducers(world);
  return world;
}
