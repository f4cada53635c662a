/**
 * A process with one stage between two topics, for tests of processes that die. The settings come as JSON in the arguments:
 * the record of source a whose number is `killer` aborts the process while it is in work, as native code does; any other takes `workMs`.
 */
import { join } from 'node:path';
import { folderJournal } from '../../connectors/journal/folder.ts';
import { identify, isAlive } from '../../deploy/local/process-birth.ts';
import { endWithParent } from '../../deploy/local/watchdog.ts';
import { emit } from '../../processors/stage.ts';
import { testKafkaLog } from '../support/kafka.ts';
import { pipelineOn, quiet, step } from '../support/pipeline.ts';

export interface MortalSettings {
  readonly from: string;
  readonly to: string;
  readonly data: string;
  readonly killer: number;
  readonly workMs: number;
}

const { from, to, data, killer, workMs } = JSON.parse(process.argv[2]!) as MortalSettings;
endWithParent(() => process.exit());
const log = testKafkaLog();
const journal = folderJournal({ folder: join(data, 'in-work'), self: identify(process.pid), isAlive, log: quiet });
const mortal = step(
  {
    name: 'mortal',
    batch: { records: 8, bytes: 1e6, waitMs: 20, concurrency: 2 },
    process: (batch, _signal, guard) =>
      guard!(batch, async () => {
        await new Promise((resolve) => setTimeout(resolve, workMs));
        if (batch.some(({ value }) => value.source === 'a' && value.n === killer)) process.abort();
        return batch.map(({ key, value }) => emit({ output: 'out', key, value }));
      }),
  },
  from,
  { out: to },
);
const pipeline = await pipelineOn(log, [mortal], { journal });
await pipeline.start();
process.stdout.write('ready\n');
