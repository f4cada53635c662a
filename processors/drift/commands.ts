/** The commands of `drift …`; main.ts brings the log and the store. */
import { SaccadeError } from '../../connectors/errors.ts';
import type { Store } from '../../connectors/ports.ts';
import type { DriftCommand } from './arguments.ts';
import { buildReference } from './build-reference.ts';
import { calibrate, leastJudged } from './calibration.ts';
import { judgeAnswers, readLabels } from './labels.ts';
import { packReference, type Reference, unpackReference } from './reference.ts';
import { referenceKey } from './references.ts';

export interface DriftCommandWorld {
  readonly tenant: string;
  readonly now: number;
  /** The references in force, by key. */
  references(): ReadonlyMap<string, Buffer>;
  /** Resolves when it is acknowledged; null removes. */
  write(key: string, value: Buffer | null): Promise<void>;
  /** Opened only for what needs it. */
  store(): Promise<Pick<Store, 'query'>>;
  /** Throws bad_request. */
  readFile(path: string): string;
}

const day = (at: number): string => new Date(at).toISOString().slice(0, 16);

export async function runDriftCommand(world: DriftCommandWorld, command: DriftCommand, print: (line: string) => void): Promise<void> {
  if (command.name === 'list') return list(world, print);
  const tenant = command.tenant ?? world.tenant;
  if (command.name === 'forget') {
    const keys = [...world.references().keys()].filter((key) => key.startsWith(`${tenant}/${command.model ?? ''}`) && belongs(key, tenant, command));
    if (keys.length === 0) throw new SaccadeError('bad_request', `There is no reference for ${command.source}.`);
    for (const key of keys) {
      await world.write(key, null);
      print(`forgotten: ${key}`);
    }
    return;
  }
  if (command.name === 'calibrate') return calibrateReferences(world, tenant, command, print);
  const streams = await windowsOf(await world.store(), tenant, command);
  if (streams.length === 0) throw new SaccadeError('bad_request', `No window of ${command.of}${command.model ? ` and ${command.model}` : ''} between ${day(command.from)} and ${day(command.to)} is in the store.`);
  // All are built before any is written: half of what was asked for is harder to make sense of than none.
  const built = streams.map(({ model, version, windows }) => {
    const key = referenceKey({ tenant, source: command.source, model, version });
    const before = world.references().get(key);
    const old = before ? unpackReference(before) : null;
    const made = buildReference({ version: nextVersion(old), madeAt: world.now, of: command.of, windows, day: command.day });
    // It is the same version of the model: what its confidence is worth does not change with what is normal.
    return { key, reference: old?.calibration ? { ...made, calibration: old.calibration } : made };
  });
  for (const { key, reference } of built) {
    await world.write(key, packReference(reference));
    print(`${key}: version ${told(reference)}`);
  }
}

const nextVersion = (old: Reference | null): string => String(old ? Number(old.version) + 1 : 1);

/** Into a new version of each reference whose version of the model has answered enough of the labelled frames. */
async function calibrateReferences(world: DriftCommandWorld, tenant: string, { source, model, labels: file }: Extract<DriftCommand, { name: 'calibrate' }>, print: (line: string) => void): Promise<void> {
  const labels = readLabels(world.readFile(file));
  const judged = await judgeAnswers(await world.store(), { tenant, source, model }, labels);
  const made = [...judged].flatMap(([version, answers]) => {
    const key = referenceKey({ tenant, source, model, version });
    const bytes = world.references().get(key);
    if (!bytes || (answers.length < leastJudged && judged.size > 1)) return [];
    const old = unpackReference(bytes);
    const calibration = calibrate(answers, world.now);
    return [{ key, reference: { ...old, version: nextVersion(old), calibration }, right: answers.filter(({ right }) => right).length / answers.length, of: answers.length }];
  });
  if (made.length === 0) throw new SaccadeError('bad_request', judged.size === 0 ? `None of the ${labels.size} frames has an answer of ${model} from ${source} in the store.` : `There is no reference of ${source} for what answered: ${[...judged.keys()].map((version) => `${model}@${version}`).join(', ')}. Make one first.`);
  for (const { key, reference, right, of } of made) {
    await world.write(key, packReference(reference));
    print(`${key}: version ${reference.version}, calibrated by ${of} answers, of which ${Math.round(right * 100)} % are right`);
  }
}

function belongs(key: string, tenant: string, { source, model }: { readonly source: string; readonly model: string | null }): boolean {
  const [head, ...rest] = key.slice(tenant.length + 1).split('/');
  return rest.join('/') === source && (model === null || head!.startsWith(`${model}@`));
}

const told = ({ version, of, from, to, parts, calibration }: Reference): string =>
  `${version}, of ${of} from ${day(from)} to ${day(to)}: ${parts.map(({ name, blocks }) => `${name} ${blocks.reduce((sum, { frames }) => sum + frames, 0)} frames in ${blocks.length} blocks`).join(', ')}${calibration ? ', calibrated' : ''}`;

function list({ references }: DriftCommandWorld, print: (line: string) => void): void {
  if (references().size === 0) return print('There are no references. See npm run saccade -- drift --help.');
  for (const [key, bytes] of [...references()].toSorted(([a], [b]) => (a < b ? -1 : 1))) print(`${key}: version ${told(unpackReference(bytes))}`);
}

interface Row {
  readonly model: string;
  readonly version: string;
  readonly start: number;
  readonly end: number;
  readonly blocks: string;
}

/** By model; of its versions the one that was last seen in that time. */
async function windowsOf(store: Pick<Store, 'query'>, tenant: string, { of, model, from, to }: Extract<DriftCommand, { name: 'reference' }>) {
  const rows = await store.query<Row>(
    `SELECT model, version, toUnixTimestamp64Milli(start) AS start, toUnixTimestamp64Milli(end) AS end, blocks
     FROM drift_windows_raw FINAL
     WHERE tenant = {tenant:String} AND source = {of:String} AND span = '5m' AND blocks != '' AND model LIKE {model:String}
       AND drift_windows_raw.start >= fromUnixTimestamp64Milli({from:Int64}) AND drift_windows_raw.end <= fromUnixTimestamp64Milli({to:Int64})
     ORDER BY drift_windows_raw.start`,
    { tenant, of, model: model ?? '%', from, to },
  );
  return [...new Set(rows.map((row) => row.model))].map((name) => {
    const own = rows.filter((row) => row.model === name);
    const { version } = own.at(-1)!;
    return { model: name, version, windows: own.filter((row) => row.version === version).map(({ start, end, blocks }) => ({ start, end, blocks: Buffer.from(blocks, 'base64') })) };
  });
}
