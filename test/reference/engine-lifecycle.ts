/** A process that starts an engine, uses it, closes it and leaves as its argument says: by itself, or by process.exit(). */
import { fileURLToPath } from 'node:url';
import { loadModels } from '../../connectors/models/repository.ts';
import { inferConfig } from '../../processors/infer/config.ts';
import { startEngine } from '../../processors/infer/engine.ts';

const models = await loadModels(fileURLToPath(new URL('../../models', import.meta.url)), ['ultraface']);
const engine = await startEngine({
  ...inferConfig.parse({ workers: 2, providers: ['cpu'] }),
  models,
  clock: { now: Date.now, sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) },
});
// Closed while runs are under way and others wait.
const answers = engine.run('ultraface', Array.from({ length: 6 }, () => new Uint8Array(240 * 320 * 3)));
await engine.close();
console.log((await answers).map((answer) => (answer.ok ? 'ok' : answer.error.code)).join(' '));
if (process.argv[2] === 'exit') process.exit(0);
