/**
 * `npm run bench -- access`: what it costs a request to be asked who asks. The same trivial route, open and with keys, limits and the
 * audit trail (on the embedded PostgreSQL), in turn; requests are injected, so that no socket is measured.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { FastifyInstance } from 'fastify';
import pino from 'pino';
import { Registry } from 'prom-client';
import { openMetadata } from '../connectors/postgres/metadata.ts';
import { startPostgres } from '../deploy/local/postgres.ts';
import { makeKey } from '../processors/access/key.ts';
import { openAccess } from '../processors/assembly/access.ts';
import { readConfig } from '../processors/config.ts';
import { httpServer } from '../processors/edge/server.ts';
import { systemClock } from '../processors/runtime/clock.ts';
import { shutdown } from '../processors/runtime/shutdown.ts';
import { quantile } from './quantiles.ts';

const atOnce = 16;

interface Contestant {
  readonly name: string;
  readonly app: FastifyInstance;
  readonly headers: Record<string, string>;
}

/** Wall and CPU of this process for one request, in microseconds. */
async function round({ app, headers }: Contestant, count: number): Promise<{ wall: number; cpu: number }> {
  const [begin, used] = [performance.now(), process.cpuUsage()];
  let left = count;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (left-- > 0) {
        const { statusCode } = await app.inject({ url: '/probe', headers });
        if (statusCode !== 200) throw new Error(`the probe answered ${statusCode}`);
      }
    }),
  );
  const { user, system } = process.cpuUsage(used);
  return { wall: ((performance.now() - begin) * 1000) / count, cpu: (user + system) / count };
}

export async function accessBench(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...argv], options: { count: { type: 'string', default: '4000' }, rounds: { type: 'string', default: '7' } } });
  const [count, rounds] = [Number(values.count), Number(values.rounds)];
  const folder = mkdtempSync(join(tmpdir(), 'saccade-bench-access-'));
  const local = await startPostgres(folder, 'pipeline');
  const metadata = await openMetadata(local.url);
  const logger = pino({ level: 'silent' });
  const ending = shutdown(systemClock, () => logger, 30_000);
  const contestant = async (name: string, env: Record<string, string>, headers: Record<string, string>): Promise<Contestant> => {
    const { settings } = readConfig([], env, '/nonexistent');
    const producer = { send: async () => {} } as never;
    const faces = { now: () => 'off' as const, given: () => null, give: async () => {} };
    const access = await openAccess({ settings, clock: systemClock, logger, producer, faces, ending, say: () => {} }, settings.SACCADE_AUTH === 'open' ? null : Promise.resolve(metadata));
    const server = await httpServer({ metrics: new Registry(), troubles: () => ({}), startedAt: Date.now(), logger, authenticate: access.authenticate, guard: access.guard });
    server.app.get('/probe', { config: { needs: 'viewer' } }, async () => 'ok');
    await server.app.ready();
    return { name, app: server.app, headers };
  };
  const { id, secretHash, text } = makeKey();
  await metadata.access.ensureTenant('default');
  await metadata.access.createKey({ id, secretHash, tenant: 'default', role: 'viewer', label: '', plan: null, models: null, sources: null, createdBy: 'bench', expiresAt: null });
  const key = { authorization: `Bearer ${text}` };
  const contestants = [
    await contestant('open', {}, {}),
    await contestant('keys and the audit trail', { SACCADE_AUTH: 'required', SACCADE_PLAN: 'unlimited' }, key),
    await contestant('the same with limits', { SACCADE_AUTH: 'required', SACCADE_PLAN: 'standard' }, key),
  ];
  // The plan of 6,000 a minute would refuse the bench itself.
  const runs = new Map(contestants.map(({ name }) => [name, [] as { wall: number; cpu: number }[]]));
  /** Else the trail fills up, and requests are refused: a bench asks faster than any client, from within. */
  let recorded = 0;
  const written = async (): Promise<void> => {
    while ((await metadata.audit.head()).number < recorded) await sleep(100);
  };
  const perRound = Math.min(count, Math.floor(5_500 / (rounds + 1)));
  for (let i = 0; i <= rounds; i += 1) {
    for (const one of contestants) {
      const asked = one.name.endsWith('limits') ? perRound : count;
      const measured = await round(one, asked);
      if (one.headers.authorization) recorded += asked;
      await written();
      // The first is for the compiler.
      if (i > 0) runs.get(one.name)!.push(measured);
    }
  }
  const summary = [...runs].map(([name, all]) => {
    const cpu = all.map((run) => run.cpu);
    return { name, cpu_us: Math.round(quantile(cpu, 0.5)), least: Math.round(Math.min(...cpu)), most: Math.round(Math.max(...cpu)), wall_us: Math.round(quantile(all.map((run) => run.wall), 0.5)) };
  });
  process.stdout.write('CPU of the edge for a request, in microseconds (median, least, most of the rounds)\n');
  for (const { name, cpu_us, least, most, wall_us } of summary) process.stdout.write(`  ${name.padEnd(28)} ${`${cpu_us}`.padStart(5)}  ${least}-${most}  (wall ${wall_us})\n`);
  for (const { app } of contestants) await app.close();
  await ending.run();
  const entries = (await metadata.audit.head()).number;
  await metadata.close();
  await local.stop();
  rmSync(folder, { recursive: true, force: true });
  process.stdout.write(`${JSON.stringify({ bench: 'access', rounds, summary, entries })}\n`);
}
