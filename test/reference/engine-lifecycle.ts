/** A process that starts an engine, uses it, closes it and leaves as its argument says: by itself, or by process.exit(). */
import { fileURLToPath } from 'node:url';
import { loadModels } from '../../connectors/models/repository.ts';
import { inferConfig } from '../../processors/infer/config.ts';
import { createEngine } from '../../processors/infer/engine.ts';

const models = await loadModels(fileURLToPath(new URL('../../models', import.meta.url)), ['ultraface']);
const engine = createEngine({
  ...inferConfig.parse({ workers: 2, providers: ['cpu'], maxBatch: 1 }),
  clock: { now: Date.now, sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) },
});
for (const model of models) await engine.load(model);
// Closed while runs are under way and others wait.
const answers = engine.run(models[0]!, Array.from({ length: 6 }, () => ({ pixels: new Uint8Array(240 * 320 * 3), source: 'cam', urgent: false, deadline: null })));
await engine.close();
console.log((await answers).map((answer) => (answer.ok ? 'ok' : answer.error.code)).join(' '));
if (process.argv[2] === 'exit') process.exit(0);
