/** The floor: the pipeline's own decoder and ONNX Runtime in one process, no Kafka. bare-loop.ts MODELS NAME PICTURES COUNT */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { loadModels } from '../../connectors/models/repository.ts';
import { graphOf } from '../../processors/infer/graphs.ts';
import { openFolded } from '../../processors/infer/open-folded.ts';
import { fastCutter } from '../../processors/preprocess/fast-jpeg/cut.ts';
import { plainJpeg } from '../../processors/preprocess/fast-jpeg/header.ts';

const [root, name, folder, counted] = process.argv.slice(2) as [string, string, string, string];
const count = Number(counted);
const [model] = await loadModels(root, [name]);
const { input } = model!.card;
// As the engine opens it.
const { session } = await openFolded(graphOf(model!), 'cpu', 1, 'try');
const cut = fastCutter();
/** Used again and again, as the pipeline uses a tensor's memory. */
const memory = new ArrayBuffer(input.height * input.width * 3);
const pixels = new Uint8Array(memory);
const pictures = readdirSync(folder).filter((file) => file.endsWith('.jpg')).sort().map((file) => readFileSync(join(folder, file)));

async function best(picture: Buffer): Promise<number> {
  cut(picture, plainJpeg(picture)!, [input], [memory]);
  // All outputs, as the pipeline asks for them.
  const probabilities = (await session.run(1, pixels)).probabilities!;
  let found = 0;
  for (let i = 1; i < probabilities.length; i++) if (probabilities[i]! > probabilities[found]!) found = i;
  return found;
}

for (let i = 0; i < 10; i++) await best(pictures[i]!);
console.log('ready');
const lines = createInterface(process.stdin);
await lines.question('');
lines.close();
const startedAt = Date.now();
const cpu = process.cpuUsage();
const top: number[] = [];
for (let i = 0; i < count; i++) {
  const found = await best(pictures[i % pictures.length]!);
  if (i < pictures.length) top.push(found);
}
const { user, system } = process.cpuUsage(cpu);
console.log(JSON.stringify({ count, startedAt, endedAt: Date.now(), cpuSeconds: (user + system) / 1e6, top }));
await session.release();
