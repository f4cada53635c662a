/** How many rows a second the engine alone answers, by workers: what the machine lets infer gain, without Kafka. */
import { fileURLToPath } from 'node:url';
import { loadModels } from '../../connectors/models/repository.ts';
import { inferConfig } from '../../processors/infer/config.ts';
import { createEngine } from '../../processors/infer/engine.ts';
import { systemClock as clock } from '../../processors/runtime/clock.ts';
import type { Round } from '../pipeline/contestants.ts';
import { machineUse } from '../pipeline/usage.ts';

const models = fileURLToPath(new URL('../../models', import.meta.url));
/** Rows that wait for the workers at any time: none ever does. */
const ahead = 4;

export async function engineRun(name: string, workers: number, rows: number): Promise<Round> {
  const [model] = await loadModels(models, [name]);
  const { height, width } = model!.card.input;
  const pixels = Buffer.alloc(height * width * 3, 99);
  const engine = createEngine({ ...inferConfig.parse({ workers, intraOpThreads: 1, maxBatch: 1, providers: ['cpu'] }), clock });
  try {
    await engine.load(model!);
    let left = rows;
    const lane = async (): Promise<void> => {
      while (left-- > 0) {
        const [result] = await engine.run(model!, [{ pixels, source: 'bench', urgent: false, deadline: null }]);
        if (!result!.ok) throw result!.error;
      }
    };
    const [started, cpu, use] = [performance.now(), process.cpuUsage(), machineUse()];
    await Promise.all(Array.from({ length: workers * ahead }, lane));
    const { user, system } = process.cpuUsage(cpu);
    const seconds = (user + system) / 1e6;
    return { imagesPerSecond: (rows * 1000) / (performance.now() - started), cpuMs: { engine: (seconds * 1000) / rows }, inUse: use(seconds) };
  } finally {
    await engine.close();
  }
}
