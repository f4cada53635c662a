/** The journal of work, which outlives its process and is read by later ones: those of its machine. */
import type { InWork, WorkJournal } from '../../../connectors/ports.ts';
import type { World } from '../world/world.ts';
import type { Life } from './life.ts';

export interface Page {
  readonly life: Life;
  alone: boolean;
  records: readonly InWork[];
}

export function simulatedJournal({ journal: pages, scenario, note }: World, life: Life): WorkJournal {
  const page: Page = { life, alone: false, records: [] };
  pages.add(page);
  const machineOf = ({ name }: Life): string => name.split('#')[0]!;
  const dead = (): Page[] =>
    [...pages].filter((other) => !other.life.alive && other.records.length > 0 && (scenario.oneMachine || machineOf(other.life) === machineOf(life)));

  return {
    write(records, alone) {
      if (!life.alive) return;
      Object.assign(page, { records, alone });
    },
    deaths: () => dead().map(({ alone, records }) => ({ alone, records })),
    clear(record) {
      if (!life.alive) return;
      note(life.name, `acquits ${record.stage} ${record.topic}/${record.partition}@${record.offset}`);
      for (const other of dead()) other.records = other.records.filter((each) => JSON.stringify(each) !== JSON.stringify(record));
    },
    close: () => void pages.delete(page),
  };
}
