/** Labels that people have given frames, and the answers of a model beside them. */
import { SaccadeError } from '../../connectors/errors.ts';
import type { Store } from '../../connectors/ports.ts';
import type { Judged } from './calibration.ts';

/** By frame id: what is to be seen there. A classifier's frames have one label, a detector's one for each class in it, or none. */
export type Labels = ReadonlyMap<string, ReadonlySet<string>>;

const idPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * CSV, a line `frame_id,label` for each label; a label may be quoted. A frame without a label (`frame_id,`) shows nothing. A first line
 * that is `frame_id,label` is a heading. Throws bad_request naming the line at fault.
 */
export function readLabels(text: string): Labels {
  const labels = new Map<string, Set<string>>();
  text.split(/\r?\n/).forEach((line, i) => {
    if (line.trim() === '' || (i === 0 && line.trim() === 'frame_id,label')) return;
    const match = /^([^,]*),(?:"((?:[^"]|"")*)"|([^",]*))$/.exec(line.trim());
    const id = match?.[1]!.trim().toLowerCase();
    if (!match || !idPattern.test(id!)) throw new SaccadeError('bad_request', `Line ${i + 1} of the labels is '${line.slice(0, 80)}'; frame_id,label is expected.`);
    const label = (match[2]?.replaceAll('""', '"') ?? match[3]!).trim();
    const own = labels.get(id!) ?? new Set();
    if (label !== '') own.add(label);
    labels.set(id!, own);
  });
  return labels;
}

interface Row {
  readonly frame_id: string;
  readonly by_version: string;
  readonly of_task: string;
  readonly named: readonly string[];
  readonly scores: readonly number[];
  readonly boxes: readonly string[];
  readonly box_scores: readonly number[];
}

/** They travel in the URL, of which a server takes 16 KB or so. */
const idsAtOnce = 200;

/**
 * Whether each answer to the labelled frames was right, by the version that gave it: a classifier's best label if it is the frame's,
 * a box if its class is among the frame's. Throws store_unavailable.
 */
export async function judgeAnswers(store: Pick<Store, 'query'>, of: { readonly tenant: string; readonly source: string; readonly model: string }, labels: Labels): Promise<Map<string, Judged[]>> {
  const judged = new Map<string, Judged[]>();
  const ids = [...labels.keys()];
  for (let at = 0; at < ids.length; at += idsAtOnce) {
    const rows = await store.query<Row>(
      `SELECT frame_id, ifNull(version, '') AS by_version, ifNull(task, '') AS of_task, labels.label AS named, labels.score AS scores, detections.label AS boxes, detections.score AS box_scores
       FROM predictions_raw FINAL
       WHERE tenant = {tenant:String} AND source = {source:String} AND model = {model:String} AND status = 'ok' AND frame_id IN {ids:Array(UUID)}`,
      { ...of, ids: ids.slice(at, at + idsAtOnce) },
    );
    for (const { frame_id, by_version: version, of_task: task, named, scores, boxes, box_scores } of rows) {
      const seen = labels.get(frame_id)!;
      const own = judged.get(version) ?? [];
      if (task !== 'detection' && task !== 'faces') {
        if (named.length > 0) own.push({ score: scores[0]!, right: seen.has(named[0]!) });
      } else boxes.forEach((label, i) => own.push({ score: box_scores[i]!, right: seen.has(label) }));
      judged.set(version, own);
    }
  }
  return judged;
}
