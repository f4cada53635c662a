/** Wrong ways to look for the record that kills its process. */
import type { WorkJournal } from '../../../connectors/ports.ts';
import { deathsToCondemn } from '../../../processors/runtime/quarantine.ts';
import type { Ports } from '../process/ports.ts';
import type { Broken } from './broken.ts';

const journals = (change: (journal: WorkJournal) => Partial<WorkJournal>) => (ports: Ports): Ports => ({
  ...ports,
  journal: { ...ports.journal, ...change(ports.journal) },
});

export const forgetsDeaths: Broken = {
  name: 'forgets-deaths',
  sentence: 'Remembers nothing of the process before it, and dies of the same record for ever.',
  breaks: ['settles'],
  ports: journals(() => ({ deaths: () => [] })),
};

export const condemnsCompany: Broken = {
  name: 'condemns-company',
  sentence: 'Condemns whoever was in work when a process died.',
  breaks: ['deserved-outcome'],
  ports: journals((journal) => ({
    deaths: () => journal.deaths().flatMap((death) => Array.from({ length: deathsToCondemn }, () => ({ ...death, alone: true }))),
  })),
};
