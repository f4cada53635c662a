import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startChdb, type Chdb } from '../connectors/chdb/start.ts';
import { clickhouseStore } from '../connectors/clickhouse/store.ts';
import type { Store } from '../connectors/ports.ts';
import { settings } from '../processors/settings.ts';
import { descriptions } from '../schemas/topics.ts';

const readme = readFileSync('README.md', 'utf8');
const scripts = (JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }).scripts;

describe('the README says what is true', () => {
  test('every file it shows or names is there', () => {
    const shown = [...readme.matchAll(/\]\(([^)#]+)\)/g)].map((m) => m[1]!).filter((path) => !path.startsWith('http'));
    const named = [...readme.matchAll(/`((?:processors|schemas|models|media)\/[\w./-]+)`/g)].map((m) => m[1]!);
    assert.ok(shown.length > 0 && named.length > 2);
    for (const path of [...shown, ...named]) assert.ok(existsSync(path), path);
  });

  test('every npm script it calls exists', () => {
    for (const [, name] of readme.matchAll(/npm run ([\w-]+)/g)) assert.ok(scripts[name!], `npm run ${name}`);
  });

  test('every setting it names exists', () => {
    const known = new Set(Object.keys(settings));
    for (const [name] of readme.matchAll(/\b(?:SACCADE|KAFKA|CLICKHOUSE|SCHEMA_REGISTRY)_[A-Z_]+\b/g)) {
      assert.ok(known.has(name) || name.startsWith('SACCADE_TEST_'), name);
    }
  });

  test('every topic it names is described', () => {
    for (const name of ['frames.in', 'frames', 'predictions', 'replies', 'tensors.*', '*.dlq']) assert.ok(descriptions.some((d) => d.name === name), name);
  });

  describe('its SQL runs', () => {
    const data = mkdtempSync(join(tmpdir(), 'saccade-readme-'));
    let chdb: Chdb;
    let store: Store;
    before(async () => {
      chdb = await startChdb({ dataDir: data });
      store = clickhouseStore({ url: chdb.url, kind: 'chdb' });
      await store.migrate();
    });
    after(async () => {
      await store.close();
      await chdb.stop();
      rmSync(data, { recursive: true, force: true });
    });

    const section = /## SQL\n([\s\S]*?)\n## /.exec(readme)![1]!;
    const blocks = section.split('\n').filter((line) => line.startsWith('    ')).join('\n').split(';');
    const quoted = [...readme.matchAll(/npm run sql -- "(select [^"…]+)"/g)].map((m) => m[1]!);
    const queries = [...blocks, ...quoted].map((sql) => sql.trim()).filter((sql) => sql !== '');
    for (const sql of queries) test(sql.split('\n')[0]!, async () => void (await store.query(sql)));
    test('there are queries', () => assert.ok(queries.length >= 4));
  });
});
