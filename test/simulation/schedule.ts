/** A failing seed, for a person: it is run again, which replays it exactly, and this time its schedule is written down. */
import { allBroken } from './broken/all.ts';
import { simulate } from './simulate.ts';

/** Prints the last `lines` of the schedule, what broke, and the command that replays it. */
export async function printFailure(seed: number, name: string | null, lines: number): Promise<void> {
  const broken = allBroken.find((one) => one.name === name);
  const schedule: string[] = [];
  const verdict = await simulate(seed, {
    ...(broken ? { broken } : {}),
    schedule: (at, who, what) => schedule.push(`${(at / 1000).toFixed(4).padStart(10)} s  ${who.padEnd(24)} ${what}`),
  });
  console.log(`\nseed ${seed}${name === null ? '' : `, broken: ${name}`}`);
  const shown = Number.isFinite(lines) ? schedule.slice(-lines) : schedule;
  if (shown.length < schedule.length) console.log(`… ${schedule.length - shown.length} earlier lines: replay it to see them`);
  console.log(shown.join('\n'));
  for (const { invariant, detail, at } of verdict.violations) console.log(`VIOLATED ${invariant} at ${(at / 1000).toFixed(4)} s: ${detail}`);
  console.log(`replay:  npm run simulate -- --seeds 1 --first ${seed}${name === null ? '' : ` --broken ${name}`}`);
}
