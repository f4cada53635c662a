/** One dead letter in full. */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { SaccadeError } from '../../connectors/errors.ts';
import type { LogRecord } from '../../connectors/ports.ts';
import { handledTopic } from '../../schemas/topics.ts';
import { describeLetter, homeOf, type Place } from './letter.ts';
import { createMarks, type Mark } from './marks.ts';
import { type MaybePicture, pictureOf } from './picture.ts';
import { plain, when } from './print.ts';
import { readSpans } from './read-spans.ts';
import type { Output, World } from './world.ts';

/** Writes the picture to `out`, or to a folder of its own. Throws not_found, log_unavailable, bad_request for a file that cannot be written. */
export async function show(world: World, id: Place & { readonly id: string }, out: string | null, { print }: Output): Promise<void> {
  const { record, handled } = await fetchLetter(world, id);
  const letter = describeLetter(record);
  const rows: [string, string][] = [
    ['id', letter.id],
    ['reason', `${plain(letter.code)}: ${plain(letter.detail)}`],
    ['stage', plain(letter.stage)],
    ['when', when(letter.timestamp)],
    ['came from', origin(record)],
    ['source', letter.source === null ? '(no key)' : plain(letter.source)],
    ['size', `${record.value?.length ?? 0} bytes, key ${record.key?.length ?? 0} bytes`],
    ['replayed', letter.replays === 0 ? 'never before' : `${letter.replays}× before it died this time`],
    ['handled', handled ? `${handled.action} ${handled.at}` : 'no'],
  ];
  for (const [name, value] of rows) print(`${name.padEnd(10)} ${value}`);
  print('headers');
  for (const [name, value] of Object.entries(record.headers)) print(`  ${plain(name)}: ${plain(value)}`);
  print(`${'picture'.padEnd(10)} ${await save(letter.id, await pictureOf(record, world), out)}`);
}

function origin({ topic, headers, partition, offset }: LogRecord): string {
  const place = `${homeOf(topic)}/${headers['saccade-partition'] ?? partition}@${headers['saccade-offset'] ?? offset}`;
  const at = Number(headers['saccade-timestamp'] ?? Number.NaN);
  return plain(Number.isNaN(at) || Math.abs(at) > 8.64e15 ? place : `${place}, written ${when(at)}`);
}

async function fetchLetter(world: World, { id, topic, partition, offset }: Place & { readonly id: string }): Promise<{ record: LogRecord; handled: Mark | null }> {
  const { survey } = world;
  const topics = await survey.topics();
  if (!topics.includes(topic)) throw new SaccadeError('not_found', `There is no topic ${topic}.`);
  const bounds = (await survey.bounds(topic)).find((span) => span.partition === partition);
  if (!bounds || offset < bounds.low || offset >= bounds.high) {
    const holds = !bounds ? `has no partition ${partition}` : bounds.low === bounds.high ? `holds nothing in partition ${partition}` : `holds ${bounds.low} to ${bounds.high - 1} in partition ${partition}`;
    throw new SaccadeError('not_found', `There is no dead letter ${id}: ${topic} ${holds}.`);
  }
  let record: LogRecord | null = null as LogRecord | null;
  const marks = createMarks();
  await Promise.all([
    readSpans(world, [{ topic, partition, low: offset, high: offset + 1 }], (each) => void (record = each)),
    topics.includes(handledTopic) ? survey.bounds(handledTopic).then((spans) => readSpans(world, spans, (each) => marks.add(each))) : null,
  ]);
  if (!record) throw new SaccadeError('not_found', `${id} was deleted by retention just now.`);
  return { record, handled: marks.of({ id, timestamp: record.timestamp }) };
}

/** Answers where it is, or why it is not. Readable by its owner only: it may show a person. */
async function save(id: string, picture: MaybePicture, out: string | null): Promise<string> {
  if ('none' in picture) return `none: ${picture.none}`;
  const path = out === null ? join(await mkdtemp(join(tmpdir(), 'saccade-')), `${id.replaceAll(/[/@]/g, '-')}.${picture.extension}`) : resolve(out);
  try {
    await writeFile(path, picture.bytes, { mode: 0o600 });
  } catch (error) {
    throw new SaccadeError('bad_request', `--out ${path} cannot be written: ${(error as Error).message}.`, error);
  }
  return `${path} (${picture.note})`;
}
