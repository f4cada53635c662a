/**
 * The tables of a cluster: each statement of the migrations in its replicated and distributed form. What is one table on a single
 * server is NAME_local on every replica, and a Distributed table NAME in front of it, so that whoever writes or reads needs not know.
 * Rows are sharded by their id: all repeats of a row meet on one shard, where FINAL finds them.
 */
import { SaccadeError } from '../errors.ts';

export interface Cluster {
  /** As the server's remote_servers names it. */
  readonly name: string;
  readonly database: string;
}

/** By what a table's rows find their shard; any other lies on one whole, for it is small. */
const shardedBy: Readonly<Record<string, string>> = {
  predictions_raw: 'cityHash64(id)',
  predictions_by_week: 'cityHash64(id)',
  rollup_minutes: 'cityHash64(bucket, source)',
  rollup_hours: 'cityHash64(bucket, source)',
  rollup_labels: 'cityHash64(bucket, source)',
};

const create = /^CREATE TABLE IF NOT EXISTS (\w+)(?: AS (\w+))?\s*(\([^]*\))?\s*ENGINE = (\w*MergeTree)(?:\(([^)]*)\))?\s*([^]*)$/;
const alter = /^ALTER TABLE (\w+)\s+([^]*)$/;
const forward = /^CREATE MATERIALIZED VIEW IF NOT EXISTS (\w+) TO (\w+) AS SELECT \* FROM (\w+)$/;
const drop = /^DROP (VIEW|TABLE) IF EXISTS (\w+)(?= |$)([^]*)$/;
const view = /^CREATE (OR REPLACE VIEW|VIEW IF NOT EXISTS) ([\w.]+)(?=\s)([^]*)$/;

/** The statements that do on the whole cluster what this one does on one server. Throws invalid_config for one of a kind it does not know. */
export function onCluster(statement: string, { name, database }: Cluster): string[] {
  const on = `ON CLUSTER \`${name}\``;
  const made = create.exec(statement);
  if (made) {
    const [, table, like, columns = '', engine, version = '', rest] = made;
    // The path holds the table's own identity: one that was dropped and made anew must not find the old one's parts.
    const replicated = `Replicated${engine}('/clickhouse/tables/{uuid}/{shard}', '{replica}'${version === '' ? '' : `, ${version}`})`;
    return [
      `CREATE TABLE IF NOT EXISTS ${table}_local ${on}${like === undefined ? '' : ` AS ${like}_local`}\n${columns}\nENGINE = ${replicated}\n${rest}`,
      `CREATE TABLE IF NOT EXISTS ${table} ${on} AS ${table}_local\nENGINE = Distributed(\`${name}\`, ${database}, ${table}_local, ${shardedBy[table!] ?? '0'})`,
    ];
  }
  const altered = alter.exec(statement);
  if (altered) {
    const [, table, change] = altered as unknown as [string, string, string];
    const stored = `ALTER TABLE ${table}_local ${on} ${change}`;
    // How long rows are kept, how they are packed, merged and found, is the stored table's affair.
    return /\b(TTL|INDEX|SETTING)\b/.test(change) ? [stored] : [stored, `ALTER TABLE ${table} ${on} ${change.replace(/\s+CODEC\([^)]*\)+/, '')}`];
  }
  const seen = view.exec(statement);
  if (seen) return [`CREATE ${seen[1]} ${seen[2]} ${on}${seen[3]}`];
  // From each stored table into the one beside it: both are sharded alike.
  const forwarded = forward.exec(statement);
  if (forwarded) return [`CREATE MATERIALIZED VIEW IF NOT EXISTS ${forwarded[1]} ${on} TO ${forwarded[2]}_local AS SELECT * FROM ${forwarded[3]}_local`];
  // The Distributed table in front finds what it stands for by name.
  if (/^RENAME TABLE (\w+ TO \w+(, )?)+$/.test(statement)) return [`${statement.replaceAll(/(\w+) TO (\w+)/g, '$1_local TO $2_local')} ${on}`];
  const dropped = drop.exec(statement);
  if (dropped) return (dropped[1] === 'VIEW' ? [dropped[2]] : [`${dropped[2]}_local`, dropped[2]]).map((each) => `DROP ${dropped[1]} IF EXISTS ${each} ${on}${dropped[3]}`);
  const deleted = /^DELETE FROM (\w+) (WHERE [^]*)$/.exec(statement);
  if (deleted) return [`DELETE FROM ${deleted[1]}_local ${on} ${deleted[2]}`];
  if (/^(INSERT INTO \w+ SELECT|SELECT) /.test(statement)) return [statement];
  if (/^TRUNCATE TABLE (\w+)$/.test(statement)) return [statement.replace(/^TRUNCATE TABLE (\w+)$/, `TRUNCATE TABLE $1_local ${on}`)];
  if (/^(CREATE DATABASE IF NOT EXISTS) (\S+)$/.test(statement)) return [`${statement} ${on}`];
  throw new SaccadeError('invalid_config', `There is no form for a cluster of: ${statement.slice(0, 200)}`);
}

/** Whether a statement is one that has to be done on every server. */
export const isDefinition = (statement: string): boolean => /^\s*(CREATE|ALTER|TRUNCATE|RENAME|DROP|DELETE)\b/.test(statement);
