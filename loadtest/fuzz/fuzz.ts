/** `npm run bench -- fuzz`: malformed requests against a running edge: what it answers, and whether its memory comes back. */
import { parseArgs } from 'node:util';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { malformed } from './malformed.ts';
import { sendAll, type Told } from './send.ts';

const calmMs = 5_000;

const whole = (name: string, text: string): number => {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new Error(`--${name} is '${text}': a whole number above 0 is expected`);
  return Number(text);
};

/** Of the process that answers, in MiB; and what it holds open. */
async function resident(url: string): Promise<{ readonly mib: number; readonly heapMib: number; readonly handles: number }> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const value = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
  return { mib: value('process_resident_memory_bytes') / 2 ** 20, heapMib: value('nodejs_heap_size_used_bytes') / 2 ** 20, handles: value('nodejs_active_handles_total') };
}

export async function fuzz(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...argv], options: { url: { type: 'string' }, count: { type: 'string', default: '10000' }, seed: { type: 'string', default: '1' }, 'at-once': { type: 'string', default: '8' }, rounds: { type: 'string', default: '4' } } });
  const url = values.url ?? (JSON.parse(readFileSync(join(process.env.SACCADE_DATA || '.saccade', 'run.json'), 'utf8')) as { edge: { url: string } }).edge.url;
  const [count, rounds] = [whole('count', values.count), whole('rounds', values.rounds)];
  const table = new Map<string, number>();
  const faults: Told[] = [];
  const tell = (one: Told): void => {
    const name = `${one.kind}: ${one.status ?? one.outcome}`;
    table.set(name, (table.get(name) ?? 0) + 1);
    if (one.outcome === 'silent' || (one.status !== null && one.status >= 500)) faults.push(one);
  };

  // Memory after each round: what leaks grows with each, what is only warm does not.
  const memory = [await resident(url)];
  for (let round = 0; round < rounds; round++) {
    await sendAll(url, malformed(Number(values.seed) + round, Math.ceil(count / rounds)), whole('at-once', values['at-once']), tell);
    await sleep(calmMs);
    memory.push(await resident(url));
  }
  const alive = (await fetch(`${url}/health`)).status;
  const picture = await fetch(`${url}/v1/infer`, { method: 'POST', headers: { 'content-type': 'image/jpeg' }, body: readFileSync('media/coffee.jpg') });

  for (const [name, n] of [...table].sort(([a], [b]) => a.localeCompare(b))) process.stdout.write(`${`${n}`.padStart(7)}  ${name}\n`);
  for (const { kind, status, outcome, body } of faults.slice(0, 20)) process.stdout.write(`!! ${kind}: ${status ?? outcome} ${body.slice(0, 300)}\n`);
  process.stdout.write(`\nresident MiB after each round: ${memory.map(({ mib, heapMib }) => `${mib.toFixed(0)} (heap ${heapMib.toFixed(0)})`).join(', ')}\nhandles: ${memory.map(({ handles }) => handles).join(', ')}\n`);
  const sent = [...table.values()].reduce((sum, n) => sum + n, 0);
  process.stdout.write(`${JSON.stringify({ bench: 'fuzz', sent, faults: faults.length, health: alive, picture: picture.status, resident_mib: memory.map(({ mib }) => Math.round(mib)), heap_mib: memory.map(({ heapMib }) => Math.round(heapMib)) })}\n`);
  if (faults.length > 0 || alive !== 200 || picture.status !== 200) process.exitCode = 1;
}
