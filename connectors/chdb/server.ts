/**
 * The process that owns the embedded ClickHouse:
 *
 *   node --import tsx connectors/chdb/server.ts --data DIR [--port N] [--max-body-mb N]
 *
 * A process of its own because the engine belongs to one process and blocks it at times. It prints one JSON line when it
 * is ready, {"url", "pid", "version"}, and ends when its standard input closes: a parent killed with -9 leaves no orphan.
 */
import { mkdirSync, realpathSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { openEngine } from './engine.ts';
import { clickhouseHttp } from './http.ts';
import { mergesGiveWay } from './merges-give-way.ts';

/** A query can't be interrupted; cut off in mid-write, the folder is whole again at the next start. */
const graceMs = 5_000;
/** The exit code that says: the folder is another process's. A restart would not help. */
const folderTaken = 75;

const { values } = parseArgs({
  options: { data: { type: 'string' }, port: { type: 'string', default: '0' }, 'max-body-mb': { type: 'string', default: '64' } },
});
const [port, maxBodyMb] = [Number(values.port), Number(values['max-body-mb'])];
if (!values.data || !Number.isInteger(port) || port < 0 || port > 65_535 || !(maxBodyMb > 0)) {
  leave(64, 'usage: server.ts --data DIR [--port 0..65535] [--max-body-mb N]');
}

mkdirSync(values.data!, { recursive: true });
const dataDir = realpathSync(values.data!);
const engine = await openEngine(dataDir).catch((error: Error): never =>
  /Failed to create connection/.test(error.message)
    ? leave(folderTaken, `the data folder ${dataDir} cannot be opened: most likely another process has it open (only one may)`)
    : leave(70, `the embedded ClickHouse did not start: ${error.message}`),
);

mergesGiveWay();
const server = clickhouseHttp(engine, {
  maxBodyBytes: maxBodyMb * 1024 * 1024,
  broken: (error) => leave(70, `the embedded ClickHouse is broken: ${error.message}`),
});
server.once('error', (error) => leave(69, `port ${port} cannot be used: ${error.message}`));
server.listen(port, '127.0.0.1', () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  process.stdout.write(`${JSON.stringify({ url, pid: process.pid, version: engine.version })}\n`);
});

let stopping = false;
process.stdin.on('end', stop).on('close', stop).on('error', stop).resume();
process.on('SIGTERM', stop).on('SIGINT', stop);

/** Answers what was asked, within the grace, and leaves the folder closed. */
function stop(): void {
  if (stopping) return;
  stopping = true;
  setTimeout(() => process.exit(0), graceMs).unref();
  server.close(() => void engine.close().finally(() => process.exit(0)));
  // Again and again: a connection becomes idle when its last answer is out, and a client may hold it open for long.
  setInterval(() => server.closeIdleConnections(), 20).unref();
}

function leave(code: number, why: string): never {
  process.stderr.write(`chdb: ${why}\n`);
  process.exit(code);
}
