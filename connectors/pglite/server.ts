/**
 * The process that owns the embedded PostgreSQL (PGlite):
 *
 *   SACCADE_PGLITE_PASSWORD=… node --import tsx connectors/pglite/server.ts --data DIR --port N
 *
 * A process of its own because the engine blocks its thread, for seconds when a folder is new, and because one process alone
 * can have the folder open: this way each process, and any PostgreSQL client, reaches it in the same way as a server.
 */
import { mkdirSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { PGlite } from '@electric-sql/pglite';
import { type Engine, serveConnection } from './connection.ts';
import { turns } from './turns.ts';

const { values } = parseArgs({ options: { data: { type: 'string' }, port: { type: 'string' } } });
const password = process.env.SACCADE_PGLITE_PASSWORD ?? '';
const port = Number(values.port);
if (!values.data || !Number.isInteger(port) || password === '') leave(64, 'usage: SACCADE_PGLITE_PASSWORD=… server.ts --data DIR --port N');

mkdirSync(values.data!, { recursive: true, mode: 0o700 });
const db = await PGlite.create({ dataDir: values.data! }).catch((error: Error): never => leave(70, `PGlite did not start: ${error.message}`));
const [about] = (await db.query<{ server_version: string }>('SHOW server_version')).rows;
const engine: Engine = {
  exec: async (message) => Buffer.from(await db.execProtocolRaw(message)),
  parameters: { server_version: about!.server_version, server_encoding: 'UTF8', client_encoding: 'UTF8', standard_conforming_strings: 'on', DateStyle: 'ISO, MDY', TimeZone: 'UTC', integer_datetimes: 'on' },
};

const clients = new Set<Socket>();
const order = turns();
const notify = (message: Buffer): void => {
  for (const client of clients) client.write(message);
};
const server = createServer((socket) => {
  clients.add(socket);
  socket.on('close', () => clients.delete(socket));
  serveConnection({ socket, engine, turns: order, password, notify });
});
server.once('error', (error) => leave(69, `port ${port} cannot be used: ${error.message}`));
server.listen(port, '127.0.0.1');

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop());

/** Whoever has the turn is waited for, then the folder is closed in order. */
async function stop(): Promise<void> {
  server.close();
  await order.take(server);
  await db.close();
  process.exit(0);
}

function leave(code: number, why: string): never {
  process.stderr.write(`pglite: ${why}\n`);
  process.exit(code);
}
