/** The files of schemas/clickhouse, as numbered steps. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { SaccadeError } from '../errors.ts';

export interface Migration {
  readonly version: number;
  readonly name: string;
  /** SHA-256 of the file, in hex. */
  readonly checksum: string;
  readonly statements: readonly Statement[];
}

export interface Statement {
  readonly sql: string;
  /** A question by which it is run only if its answer is not 0; null: always. */
  readonly onlyWhile: string | null;
}

const folder = new URL('../../schemas/clickhouse/', import.meta.url);

/**
 * Every migration there is, oldest first. A statement ends with a semicolon at the end of a line, and must be safe to run
 * twice (IF NOT EXISTS …): ClickHouse has no lock under which two processes could agree who runs it. What cannot be written
 * so stands below a line `-- while: SELECT …`, which holds for all that follows up to the next such line.
 * Throws invalid_config for a file that is not named `0001_what.sql`, or a number given twice.
 */
export function readMigrations(from: URL = folder): Migration[] {
  const migrations = readdirSync(from)
    .filter((file) => file.endsWith('.sql'))
    .sort()
    .map((file) => {
      const match = /^(\d{4})_([a-z0-9_]+)\.sql$/.exec(file);
      if (!match) throw new SaccadeError('invalid_config', `${file} is not named like 0001_what.sql`);
      const text = readFileSync(new URL(file, from), 'utf8');
      return {
        version: Number(match[1]),
        name: match[2]!,
        checksum: createHash('sha256').update(text).digest('hex'),
        statements: statementsOf(text),
      };
    });
  for (const [i, { version, name }] of migrations.entries())
    if (version === migrations[i - 1]?.version)
      throw new SaccadeError('invalid_config', `migration ${version} exists twice: ${migrations[i - 1]!.name}, ${name}`);
  return migrations;
}

function statementsOf(text: string): Statement[] {
  let onlyWhile: string | null = null;
  return text
    .split(/;\s*$/m)
    .map((piece) => {
      onlyWhile = /^-- while: (.+)$/m.exec(piece)?.[1] ?? onlyWhile;
      return { sql: piece.replaceAll(/^\s*--.*$/gm, '').trim(), onlyWhile };
    })
    .filter(({ sql }) => sql !== '');
}
