import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { folderJournal } from '../connectors/journal/folder.ts';
import type { InWork } from '../connectors/ports.ts';
import { identify, isAlive } from '../deploy/local/process-birth.ts';
import { quarantine } from '../processors/runtime/quarantine.ts';
import type { Input } from '../processors/stage.ts';
import type { MortalSettings } from './reference/mortal-stage.ts';
import { needsKafka } from './support/components.ts';
import { testKafkaLog, testTopic } from './support/kafka.ts';
import { caughtUp, eventually, itemOf, offer, quiet, readAll } from './support/pipeline.ts';

const place = { topic: 't', partition: 0, timestamp: 1 };
const inWork = (offset: number): InWork => ({ stage: 's', ...place, offset });
const inputAt = (offset: number): Input => ({ value: null, key: null, headers: {}, origin: { cluster: 'c', ...place, offset }, bytes: 0, receivedAt: 0, attempt: 1 });
const journalOn = (folder: string, self = identify(process.pid)) => folderJournal({ folder, self, isAlive, log: quiet });

/** A process that has these in work, and is killed by kill -9 then. */
async function dieWith(folder: string, offsets: readonly number[], alone: boolean): Promise<void> {
  const code = `
    const { folderJournal } = await import('./connectors/journal/folder.ts');
    const { identify, isAlive } = await import('./deploy/local/process-birth.ts');
    const journal = folderJournal({ folder: ${JSON.stringify(folder)}, self: identify(process.pid), isAlive, log: console });
    journal.write(${JSON.stringify(offsets.map(inWork))}, ${alone});
    process.kill(process.pid, 'SIGKILL');`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], { stdio: 'inherit' });
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
  assert.equal(signal, 'SIGKILL');
}

describe('the journal of work', () => {
  const folders: string[] = [];
  const folder = (): string => (folders.push(mkdtempSync(join(tmpdir(), 'saccade-journal-'))), folders.at(-1)!);
  after(() => folders.forEach((each) => rmSync(each, { recursive: true, force: true })));

  test('what a killed process had in work is there for the next; what one that lives has is not', async () => {
    const at = folder();
    await dieWith(at, [1, 2], false);
    const living = spawn('sleep', ['60']);
    journalOn(at, identify(living.pid!)).write([inWork(9)], true);
    assert.deepEqual(journalOn(at).deaths(), [{ alone: false, records: [inWork(1), inWork(2)] }]);
    living.kill('SIGKILL');
    await once(living, 'exit');
    assert.equal(journalOn(at).deaths().length, 2);
  });

  test('a later, shorter line hides the longer one before it, and a stop in order leaves nothing', async () => {
    const at = folder();
    const mine = journalOn(at, { pid: 2 ** 22 + 1, birth: 'never' });
    mine.write(Array.from({ length: 500 }, (_, i) => inWork(i)), false);
    mine.write([inWork(7)], true);
    assert.deepEqual(journalOn(at).deaths(), [{ alone: true, records: [inWork(7)] }]);
    mine.close();
    assert.deepEqual(journalOn(at).deaths(), []);
  });

  test('a pid used again does not write over the evidence', () => {
    const at = folder();
    const pid = 2 ** 22 + 1;
    for (const birth of ['first', 'second', 'third']) journalOn(at, { pid, birth }).write([inWork(4)], true);
    assert.equal(journalOn(at).deaths().length, 3);
  });

  test('one who came through is cleared of every death; the page of the last one goes', async () => {
    const at = folder();
    await dieWith(at, [1, 2], false);
    await dieWith(at, [1], true);
    const mine = journalOn(at);
    mine.clear(inWork(1));
    assert.deepEqual(mine.deaths(), [{ alone: false, records: [inWork(2)] }]);
    mine.clear(inWork(2));
    assert.deepEqual(readdirSync(at), [`${process.pid}.work`]);
  });

  test('a folder that cannot be written stops no work', () => {
    const at = folder();
    const said: string[] = [];
    const mine = folderJournal({ folder: at, self: identify(process.pid), isAlive, log: { warn: (_fields, message) => void said.push(message) } });
    rmSync(at, { recursive: true });
    assert.deepEqual(mine.deaths(), []);
    mine.clear(inWork(1));
    assert.match(said.join(), /cannot be written/);
  });
});

describe('the quarantine', () => {
  test('counts only deaths alone, runs a suspect alone, and forgets what it came through', async () => {
    const at = mkdtempSync(join(tmpdir(), 'saccade-journal-'));
    for (let i = 0; i < 4; i += 1) await dieWith(at, [1, 2], false);
    await dieWith(at, [2], true);
    const held = quarantine(journalOn(at));
    assert.equal(held.deathsAlone('s', inputAt(1)), null, 'nobody has looked yet');
    held.inspect();
    assert.deepEqual([1, 2, 3].map((offset) => held.deathsAlone('s', inputAt(offset))), [0, 1, null]);
    assert.equal(held.deathsAlone('another stage', inputAt(1)), null);

    const inside = new Set<number>();
    const seen: number[][] = [];
    const run = (offset: number) =>
      held.guard('s')([inputAt(offset)], async () => {
        inside.add(offset);
        seen.push([...inside]);
        await new Promise((resolve) => setImmediate(resolve));
        inside.delete(offset);
      });
    await Promise.all([3, 4, 1, 5, 6, 2].map(run));
    assert.deepEqual(seen, [[3], [3, 4], [1], [5], [5, 6], [2]]);
    const page = JSON.parse(readFileSync(join(at, `${process.pid}.work`), 'utf8').split('\n')[0]!) as { records: unknown[] };
    assert.deepEqual(page.records, [], 'the last was alone, and what it left is written at once');

    held.acquit('s', inputAt(2));
    held.inspect();
    assert.deepEqual([1, 2].map((offset) => held.deathsAlone('s', inputAt(offset))), [0, null]);
    rmSync(at, { recursive: true, force: true });
  });
});

describe('a record that kills its process, on Kafka', { skip: needsKafka, timeout: 280_000 }, () => {
  test('is dead-lettered by name; its neighbours, and those killed from outside, go on', async () => {
    const data = mkdtempSync(join(tmpdir(), 'saccade-killer-'));
    const log = testKafkaLog();
    const [from, to] = [testTopic({ partitions: 2 }), testTopic({ partitions: 1 })];
    await log.ensureTopics([from, to, { ...from, name: `${from.name}.dlq` }]);
    const settings: MortalSettings = { from: from.name, to: to.name, data, killer: 11, workMs: 60 };
    await offer(log, from.name, ['a', 'b', 'c'], 12);

    let child: ChildProcess;
    let done = false;
    const ends: (string | null)[] = [];
    const live = async (): Promise<void> => {
      while (!done) {
        child = spawn(process.execPath, ['--import', 'tsx', 'test/reference/mortal-stage.ts', JSON.stringify(settings)], { stdio: 'ignore' });
        if (ends.length === 0) void killWhenAtWork(child);
        const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
        ends.push(signal);
      }
    };
    /** As an operator would, or the kernel for want of memory. */
    const killWhenAtWork = async (victim: ChildProcess): Promise<void> => {
      const page = join(data, 'in-work', `${victim.pid}.work`);
      await eventually(() => existsSync(page) && readFileSync(page, 'utf8').includes('"stage"'), 'records in work');
      victim.kill('SIGKILL');
    };
    const living = live();
    try {
      await eventually(() => caughtUp(log, 'g.mortal', from.name), 'all committed', 240_000);
    } finally {
      done = true;
      child!.kill('SIGKILL');
      await living;
    }
    const letters = await readAll(log, `${from.name}.dlq`);
    assert.deepEqual(letters.map((each) => [itemOf(each), each.headers['saccade-error-code']]), [[{ source: 'a', n: 11 }, 'kills_process']]);
    assert.match(letters[0]!.headers['saccade-error']!, /alone in mortal at 3 deaths/);
    const came = new Set((await readAll(log, to.name)).map(itemOf).map(({ source, n }) => `${source}${n}`));
    assert.equal(came.size, 35, 'every neighbour came through');
    assert.ok(!came.has('a11'));
    assert.equal(ends[0], 'SIGKILL', 'killed from outside, with innocents in work');
    const aborts = ends.filter((signal) => signal === 'SIGABRT').length;
    assert.ok(aborts === 3 || aborts === 4, `${aborts} deaths: three alone, before them one in company`);
    await log.close();
    rmSync(data, { recursive: true, force: true });
  });
});
