import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, test } from 'node:test';

const root = resolve(import.meta.dirname, '..');

function files(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|mjs)$/.test(name))
    .map((name) => join(folder, name));
}

/** Our own files that a file imports, as paths from the root. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  const found = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map((match) => match[1]!);
  return found.map((path) => relative(root, resolve(root, dirname(file), path)));
}

/** What a file may import, by where it lies. DESIGN: schemas ◁ connectors ◁ stages; runtime knows stages by the contract only. */
function allowed(file: string): RegExp {
  const [top, folder] = file.split('/') as [string, string];
  if (top === 'schemas') return /^schemas\//;
  if (top === 'connectors') return new RegExp(`^(schemas/|connectors/(ports|metadata-port|errors|redis-client)\\.ts|connectors/${folder}/)`);
  // Puts the process together.
  if (folder === 'assembly') return /./;
  // Picks the concrete connectors.
  if (['main', 'connect', 'sql', 'saccade', 'served-models', 'masking', 'models-topic', 'policies-topic', 'tenants', 'model-set', 'announce', 'dead-letters/main', 'model-commands/main', 'access-commands/main', 'access-commands/read-topic', 'drift/main', 'quantise/main', 'quantise/frame-source'].some((name) => file === `processors/${name}.ts`)) return /./;
  if (file === 'processors/stage.ts') return /^connectors\/(ports|errors)\.ts/;
  // Asks who else is on the data folder; opens nothing.
  if (file === 'processors/joining.ts') return /^(connectors\/errors\.ts|deploy\/local\/[\w-]+\.ts|processors\/config\.ts)/;
  // Ties the lanes of ingest to the positions of the groups.
  if (file === 'processors/admission.ts') return /^(schemas\/|connectors\/(ports|errors)\.ts|processors\/(stage|topology|ingest\/[\w-]+|runtime\/(lag|control-table))\.ts)/;
  if (file === 'processors/readers.ts') return /^(schemas\/|processors\/topology\.ts)/;
  if (file === 'processors/limits.ts') return /^(schemas\/|processors\/settings\.ts|processors\/runtime\/runner\.ts)/;
  if (file === 'processors/topology.ts') return /^(schemas\/|processors\/(stage|runtime\/wiring)\.ts)/;
  if (file === 'processors/config.ts' || file === 'processors/settings.ts') {
    return /^(schemas\/|connectors\/errors\.ts|processors\/(settings|topology)\.ts|processors\/\w+\/config\.ts)/;
  }
  // Who may is asked by the edge, and answered in terms of its requests.
  if (folder === 'access') return /^(schemas\/|connectors\/(ports|metadata-port|errors)\.ts|processors\/(access\/|edge\/(ledger|principal|problem|upgrades|openapi\/problems)\.ts))/;
  if (folder === 'access-commands') return /^(schemas\/|connectors\/(metadata-port|errors)\.ts|processors\/(access-commands|access)\/)/;
  // The edge accepts a frame by ingest's own rules and quota, and lets people ask.
  const shared = folder === 'edge' ? '|processors/ingest/(accept|quota)\\.ts|processors/sql/[\\w-]+\\.ts' : '';
  return new RegExp(`^(schemas/|connectors/(ports|errors)\\.ts|processors/stage\\.ts|processors/${folder}/${shared})`);
}

describe('who may import whom', () => {
  for (const file of [...files('schemas'), ...files('connectors'), ...files('processors')]) {
    test(file, () => {
      const rule = allowed(file);
      const forbidden = importsOf(file).filter((path) => !rule.test(path));
      assert.deepEqual(forbidden, [], `${file} must not import these`);
    });
  }

  test('the rule can fail', () => {
    assert.ok(!allowed('processors/ingest/ingest.ts').test('connectors/kafka/log.ts'));
    assert.ok(!allowed('processors/runtime/sender.ts').test('processors/ingest/ingest.ts'));
    assert.ok(!allowed('schemas/ids.ts').test('connectors/ports.ts'));
    assert.deepEqual(importsOf('processors/topology.ts').includes('schemas/topics.ts'), true);
  });
});

describe('files stay small', () => {
  for (const file of [...files('schemas'), ...files('connectors'), ...files('processors'), ...files('deploy')]) {
    test(file, () => {
      const lines = readFileSync(join(root, file), 'utf8').split('\n').length;
      assert.ok(lines <= 300, `${file} has ${lines} lines`);
    });
  }

  test('topology.ts reads on one screen', () => {
    const lines = readFileSync(join(root, 'processors/topology.ts'), 'utf8').split('\n').length;
    assert.ok(lines <= 70, `${lines} lines`);
  });

  test('there are files to look at', () => assert.ok(statSync(join(root, 'processors/stage.ts')).size > 0));
});
