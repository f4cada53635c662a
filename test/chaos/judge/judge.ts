/** The verdict, from what came out alone: the public views and the dead letters against the book of what was offered. */
import { predictionId } from '../../../schemas/ids.ts';
import { isPoison, kinds } from '../load/kinds.ts';
import type { OfferedFrame } from '../load/ledger.ts';
import type { Letter } from './letters.ts';
import type { OutcomeRow } from './rows.ts';

export interface Offence {
  readonly what: 'lost' | 'repeated' | 'undeserved' | 'never_offered' | 'good_dead_lettered' | 'letter_missing' | 'letter_altered' | 'refused_but_stored';
  readonly frame: OfferedFrame | null;
  readonly detail: string;
}

export interface Verdict {
  readonly offences: readonly Offence[];
  /** Rows by status. */
  readonly stored: number;
  readonly dropped: number;
  readonly deadLettered: number;
  /** Of these frames nobody knows: at most one outcome each. This many have one. */
  readonly unacknowledgedStored: number;
}

export interface Evidence {
  readonly frames: Iterable<OfferedFrame>;
  readonly rows: readonly OutcomeRow[];
  readonly letters: readonly Letter[];
}

export function judge({ frames, rows, letters }: Evidence): Verdict {
  const offences: Offence[] = [];
  const all = [...frames];
  const byId = grouped(rows, ({ id }) => id);
  const asked = new Map(all.flatMap((frame) => frame.models.map((model) => [predictionId(frame.frameId, model), frame] as const)));
  let unacknowledgedStored = 0;

  for (const [id, frame] of asked) {
    const found = byId.get(id) ?? [];
    const deserved = kinds[frame.kind].deserves;
    const model = frame.models.find((name) => predictionId(frame.frameId, name) === id)!;
    if (found.length > 1) offences.push({ what: 'repeated', frame, detail: `${model}: ${found.length} rows of ${id}` });
    if (found.length === 0 && frame.state === 'acknowledged') offences.push({ what: 'lost', frame, detail: `${model}: no row of ${id}` });
    if (found.length > 0 && frame.state === 'refused') offences.push({ what: 'refused_but_stored', frame, detail: `${model}: ${found[0]!.status}` });
    if (found.length > 0 && frame.state === 'unacknowledged') unacknowledgedStored += 1;
    for (const { status, stage, reason } of found) {
      const fits = deserved.includes(status) && (status !== 'dropped' || reason === 'deadline');
      if (!fits && frame.state !== 'refused') offences.push({ what: 'undeserved', frame, detail: `${model}: ${status} (${reason} in ${stage}) instead of ${deserved.join(' or ')}` });
    }
  }
  for (const { id, source, model, status } of rows) {
    if (!asked.has(id)) offences.push({ what: 'never_offered', frame: null, detail: `${id} of ${source}, ${model}, ${status}` });
  }
  offences.push(...judgeLetters(all, letters));
  const count = (status: OutcomeRow['status']): number => rows.filter((row) => row.status === status).length;
  return { offences, stored: count('ok'), dropped: count('dropped'), deadLettered: count('dead_lettered'), unacknowledgedStored };
}

/** Poison has its letter, byte for byte; nothing else has one. */
function judgeLetters(frames: readonly OfferedFrame[], letters: readonly Letter[]): Offence[] {
  const offences: Offence[] = [];
  const byKey = new Map(frames.map((frame) => [frame.key, frame]));
  const byFrameId = new Map(frames.map((frame) => [frame.frameId, frame]));
  const found = new Map<OfferedFrame, Letter[]>();
  for (const letter of letters) {
    const frame = (letter.key === null ? undefined : byKey.get(letter.key)) ?? byFrameId.get(letter.frameId ?? '') ?? null;
    if (frame && isPoison(frame.kind)) found.set(frame, [...(found.get(frame) ?? []), letter]);
    else offences.push({ what: 'good_dead_lettered', frame, detail: `${letter.topic}.dlq: ${letter.code} (${letter.detail})` });
  }
  for (const frame of frames.filter(({ kind, state }) => isPoison(kind) && state === 'acknowledged')) {
    const own = found.get(frame);
    if (!own) offences.push({ what: 'letter_missing', frame, detail: 'in no dead letter topic' });
    for (const { topic, digest } of own ?? []) {
      if (digest !== frame.digest) offences.push({ what: 'letter_altered', frame, detail: `${topic}.dlq: other bytes than were offered` });
    }
  }
  return offences;
}

function grouped<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}
