import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { uncompressSync } from 'lz4-napi';
import { startChdb } from '../connectors/chdb/start.ts';
import { clickhouseStore } from '../connectors/clickhouse/store.ts';
import { SaccadeError } from '../connectors/errors.ts';
import { sqlDoor } from '../processors/assembly/sql-door.ts';
import { cityHash128 } from '../processors/sql/city-hash.ts';
import { compressedBlocks } from '../processors/sql/compressed-blocks.ts';
import { prediction } from './contracts/store.ts';
import { skipUnless } from './support/components.ts';
import { type PeopleSql, peopleSql } from './support/people-sql.ts';
import { storePredictions } from './support/rows.ts';

/** Blocks as they lie one after another: checksum, method, size with this header, size unpacked, data. */
function* blocksOf(bytes: Buffer): Iterable<{ checksum: Buffer; body: Buffer; unpackedBytes: number }> {
  for (let at = 0; at < bytes.length; ) {
    const size = bytes.readUInt32LE(at + 17);
    yield { checksum: bytes.subarray(at, at + 16), body: bytes.subarray(at + 16, at + 16 + size), unpackedBytes: bytes.readUInt32LE(at + 21) };
    at += 16 + size;
  }
}

test("the checksum is that of the engine's own files, whatever the length of what it is made of", { timeout: 60_000 }, async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'saccade-city-'));
  const chdb = await startChdb({ dataDir });
  t.after(() => rmSync(dataDir, { recursive: true, force: true }));
  const store = clickhouseStore({ url: chdb.url, kind: 'chdb' });
  await store.migrate();
  await storePredictions(store, Array.from({ length: 500 }, () => prediction()));
  // Of lengths from a few bytes on, in blocks of their own.
  for (let n = 1; n <= 300; n += 7) await store.command(`CREATE TABLE lengths_${n} ENGINE = Log AS SELECT repeat(hex(sipHash128(${n})), ${n}) AS text, number FROM numbers(${n})`);
  await store.close();
  await chdb.stop();
  const lengths = new Set<number>();
  for (const file of readdirSync(join(dataDir, 'store'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.bin'))) {
    for (const { checksum, body } of blocksOf(readFileSync(join(dataDir, 'store', file)))) {
      assert.deepEqual(cityHash128(body), checksum, `${file}, ${body.length} bytes`);
      lengths.add(body.length);
    }
  }
  assert.ok(lengths.size > 50 && Math.min(...lengths) < 40 && Math.max(...lengths) > 1000, `${[...lengths].toSorted((a, b) => a - b)}`);
});

test('blocks hold what was written, in whatever pieces', async () => {
  const data = Buffer.from(Array.from({ length: 50_000 }, (_, i) => `row ${i}\n`).join(''));
  for (const piece of [7_001, 70_000, data.length]) {
    const blocks = compressedBlocks();
    for (let at = 0; at < data.length; at += piece) blocks.write(data.subarray(at, at + piece));
    blocks.end();
    const out: Buffer[] = [];
    for await (const chunk of blocks) out.push(chunk as Buffer);
    const unpacked = [...blocksOf(Buffer.concat(out))].map(({ checksum, body, unpackedBytes }) => {
      assert.deepEqual(cityHash128(body), checksum);
      assert.equal(body[0], 0x82);
      const size = Buffer.alloc(4);
      size.writeUInt32LE(unpackedBytes);
      return uncompressSync(Buffer.concat([size, body.subarray(9)]));
    });
    assert.ok(Buffer.concat(unpacked).equals(data));
  }
});

const javac = spawnSync('javac', ['-version']).status === 0 && spawnSync('mvn', ['-v']).status === 0;

describe("ClickHouse's JDBC driver, unmodified", { timeout: 280_000, skip: skipUnless(javac, 'a JDK and Maven', 'install openjdk-17-jdk-headless and maven') }, () => {
  let people: PeopleSql;
  peopleSql('jdbc', (made) => (people = made));

  for (const options of ['', '?compress=0']) {
    test(`asks, reads what the tenant has, and is refused the rest (${options || 'as it comes: compressed'})`, async (t) => {
      const app = sqlDoor({
        ask: people.ask,
        shown: 'saccade',
        authenticate: async ({ headers }) => {
          if (headers.authorization !== 'Bearer key-of-mine') throw new SaccadeError('unauthenticated');
          return { id: 'me', tenant: 'mine', role: 'viewer', kind: 'key' };
        },
      });
      t.after(() => app.close());
      let packed = 0;
      app.addHook('onRequest', async ({ url }) => void (packed += Number(/[?&]compress=1(&|$)/.test(url))));
      const url = await app.listen({ host: '127.0.0.1', port: 0 });
      const driver = await driverJar();
      const probe = join(import.meta.dirname, 'support/jdbc/Probe.java');
      const { stdout } = await promisify(execFile)('java', ['-cp', driver, probe, `jdbc:clickhouse://${new URL(url).host}/saccade${options}`, 'key-of-mine']);
      assert.equal(packed > 0, options === '');
      assert.deepEqual(stdout.trim().split('\n'), [
        'camera 0.75 1700000000123', 'gate 0.75 1700000000123', '4999950000 100000 9777800', '4999950000 9777800', '1', 'table predictions', 'column score', 'refused 497', 'refused 497', 'refused 47',
      ]);
    });
  }
});

/** Fetched once into the user's cache. */
async function driverJar(): Promise<string> {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'saccade', 'jdbc');
  const scratch = mkdtempSync(join(tmpdir(), 'saccade-jdbc-'));
  const out = join(scratch, 'classpath');
  await promisify(execFile)('mvn', [
    '-q', '-B', '-f', join(import.meta.dirname, 'support/jdbc/pom.xml'), 'org.codehaus.mojo:exec-maven-plugin:3.5.0:exec', `-Dmaven.repo.local=${cache}`,
    '-Dexec.executable=echo', '-Dexec.args=%classpath', `-Dexec.outputFile=${out}`,
  ]);
  const classpath = readFileSync(out, 'utf8').trim();
  rmSync(scratch, { recursive: true });
  return classpath;
}
