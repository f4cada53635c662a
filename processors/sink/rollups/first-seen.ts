/**
 * Keeps the hour in which each source first saw each class, from what the passes have counted. It follows the numbers of passes,
 * not the hours that one of them counted: so what was counted by a pass that was cut off, or by a sink of an older version that
 * does not keep this table, is looked at by the next. Without its own row of how far it goes, it begins from the start.
 */
import type { Store } from '../../../connectors/ports.ts';

/** Passes of an hour, by their numbers: one that began that long before another may still have written after it. */
const overlap = 3_600_000_000;

const keys = 'tenant, source, model, label';
const columns = `${keys}, bucket, seen, pass`;
const counted = `rollup_labels FINAL WHERE label != '' AND pass > {since:UInt64}`;
const held = `rollup_firsts FINAL WHERE seen AND label != ''`;

/**
 * From ClickHouse 25.4 on, each shard of a cluster would insert what it finds into itself, and one class would be on several.
 * Parts are left out by pass_range under FINAL too: it is what decides between repeats, so none that wins is among them.
 */
const settings = 'SETTINGS parallel_distributed_insert_select = 0, use_skip_indexes_if_final = 1';

/** What was seen earlier than is held, or is not held at all. */
const came = `
INSERT INTO rollup_firsts (${columns})
SELECT ${keys}, min(hour) AS first, true, {pass:UInt64}
FROM
(
    SELECT ${keys}, bucket AS hour, false AS known FROM ${counted} AND n > 0
    UNION ALL
    SELECT ${keys}, bucket AS hour, true FROM ${held}
)
GROUP BY ${keys}
HAVING NOT max(known) OR first < minIf(hour, known)
${settings}`;

/** What is held as first, and was taken back. */
const left = `
SELECT ${keys} FROM ${held} AND (bucket, ${keys}) GLOBAL IN (SELECT bucket, ${keys} FROM ${counted} AND n = 0)`;
/** Over all hours: rare, and only the classes that lost their first. */
const again = `
INSERT INTO rollup_firsts (${columns})
SELECT ${keys}, minIf(rollup_labels.bucket, n > 0), countIf(n > 0) > 0, {pass:UInt64}
FROM rollup_labels FINAL WHERE (${keys}) GLOBAL IN (${left})
GROUP BY ${keys}
${settings}`;

/** After the labels of a pass are counted. Safe to cut off and to repeat. */
export async function keepFirsts(store: Pick<Store, 'query' | 'command' | 'insert'>, pass: number): Promise<void> {
  const [known] = await store.query<{ pass: number }>("SELECT max(pass) AS pass FROM rollup_firsts WHERE label = ''");
  const span = { pass, since: Math.max(0, Math.min(known!.pass, pass) - overlap) };
  await store.command(came, span);
  const [gone] = await store.query<{ n: number }>(`SELECT count() AS n FROM (${left}) SETTINGS use_skip_indexes_if_final = 1`, span);
  if (gone!.n > 0) await store.command(again, span);
  await store.insert('rollup_firsts', [{ tenant: '', source: '', model: '', label: '', bucket: 0, seen: false, pass }]);
}
