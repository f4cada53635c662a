/**
 * Sources ten times as fast as inference: first a live one, then one that must not lose a frame. Resident memory of every
 * process is sampled and judged; what became of the frames is read from the topics.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { SaccadeError } from '../../connectors/errors.ts';
import { systemClock as clock } from '../../processors/runtime/clock.ts';
import { groupOf } from '../../processors/topology.ts';
import { overflowTopic } from '../../schemas/topics.ts';
import { type Fleet, say, withFleet } from './fleet.ts';
import { type Answer, partitionOf, smallPicture, sourceNamed, startSource, watchAnswers } from './load.ts';
import { sampleResident, slopeOfSecondHalf, sparkline, svgOf } from './resident.ts';

const lifeMs = 5_000;
/** MiB a minute that a process may still grow by in the second half: garbage collectors breathe. */
const mostSlope = 30;

/** Answers a second when there is always one waiting. */
async function capacity(fleet: Fleet, picture: Buffer): Promise<number> {
  const answers = await watchAnswers(fleet);
  const source = startSource(fleet, { name: 'warm-up', rate: 100, picture, lifeMs: 8_000 });
  await clock.sleep(15_000);
  await source.stop();
  await answers.close();
  const ok = answers.of('warm-up').filter(({ status }) => status === 'ok');
  const recent = ok.filter(({ at }) => at > ok.at(-1)!.at - 8_000);
  return recent.length / 8;
}

const endOf = async (fleet: Fleet, topic: string, partition: number): Promise<number> => (await fleet.log.endOffsets(topic)).find((at) => at.partition === partition)!.offset;

/** Frames of drops by the processes' own count. */
async function countedDrops(fleet: Fleet, source: string): Promise<number> {
  const texts = await Promise.all(fleet.processes.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()));
  const line = new RegExp(`^saccade_source_dropped_records_total\\{source="${source}",[^}]*\\} (\\d+)`, 'gm');
  return texts.flatMap((text) => [...text.matchAll(line)]).reduce((sum, match) => sum + Number(match[1]), 0);
}

const risesThrough = (answers: readonly Answer[]): boolean => answers.every(({ sequence }, i) => i === 0 || sequence > answers[i - 1]!.sequence);

export async function backpressure(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: { seconds: { type: 'string', default: '120' }, limit: { type: 'string', default: '600' }, out: { type: 'string', default: 'loadtest/results' } },
  });
  const [seconds, limit] = [Number(values.seconds), Number(values.limit)];
  if (!(seconds >= 20) || !(limit > 0)) throw new SaccadeError('invalid_config', `--seconds is a number of at least 20 and --limit one of MiB above 0, not ${values.seconds} and ${values.limit}.`);
  const folder = resolve(values.out);
  mkdirSync(folder, { recursive: true });
  await withFleet({}, async (fleet) => {
    const picture = await smallPicture();
    const perSecond = await capacity(fleet, picture);
    const rate = Math.ceil(10 * perSecond);
    say(`inference answers ${perSecond.toFixed(1)} frames a second; the sources send ${rate}`);
    const partitions = await fleet.log.partitions('frames.in');
    const used = partitionOf('warm-up', partitions);
    const live = sourceNamed('live', (name) => partitionOf(name, partitions) !== used);
    const archive = sourceNamed('archive', (name) => ![used, partitionOf(live, partitions)].includes(partitionOf(name, partitions)));
    const answers = await watchAnswers(fleet);
    const memory = sampleResident(fleet.processes.map(({ stage, child }) => ({ name: stage, pid: child.pid! })));

    const camera = startSource(fleet, { name: live, rate, picture, lifeMs });
    await clock.sleep(seconds * 500);
    await camera.stop();
    const files = startSource(fleet, { name: archive, rate, picture });
    await clock.sleep(seconds * 500);
    await files.stop();
    await memory.stop();

    // Everything that was sent has left ingest, and the last live frame has run out of life.
    const at = partitionOf(archive, partitions);
    const ingested = async (): Promise<boolean> => {
      const end = await endOf(fleet, 'frames.in', at);
      return ((await fleet.log.committed(groupOf('ingest'), 'frames.in')).find(({ partition }) => partition === at)?.offset ?? 0) >= end;
    };
    for (let i = 0; i < 60 && !(await ingested()); i += 1) await clock.sleep(1_000);
    const kept = (await endOf(fleet, 'frames', at)) + (await endOf(fleet, overflowTopic, at));
    const dropped = await countedDrops(fleet, live);
    await answers.close();

    const [ofLive, ofArchive] = [answers.of(live), answers.of(archive)];
    const liveDrops = ofLive.filter(({ status }) => status === 'dropped').length;
    const processes = Object.fromEntries(memory.curves.map((curve) => {
      const highest = Math.round(Math.max(...curve.mib));
      const slope = Math.round(slopeOfSecondHalf(curve));
      return [curve.name, { highest_mib: highest, slope_mib_a_minute: slope, level: slope <= mostSlope && highest <= limit }];
    }));
    for (const curve of memory.curves) console.log(`${curve.name.padEnd(11)} ${sparkline(curve, limit)}`);
    console.table(processes);
    const picturePath = join(folder, 'backpressure.svg');
    writeFileSync(picturePath, svgOf(memory.curves, limit));
    console.log(`the curves are drawn in ${picturePath}`);
    console.log(
      JSON.stringify({
        bench: 'backpressure', seconds, limit_mib: limit, inference_per_second: perSecond, sent_per_second: rate, processes,
        persistent: { acknowledged: files.acknowledged, in_the_lanes: kept, lost: files.acknowledged - kept, answered: ofArchive.length, waiting: files.acknowledged - ofArchive.length, in_order: risesThrough(ofArchive), dropped: ofArchive.filter(({ status }) => status !== 'ok').length },
        live: { acknowledged: camera.acknowledged, ok: ofLive.filter(({ status }) => status === 'ok').length, dropped: liveDrops, dropped_by_metric: dropped, accounted: ofLive.length },
      }),
    );
  });
}
