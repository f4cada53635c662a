/** Predictions as output tensors: one row for each picture, as wide as the longest; what a row lacks is filled up. */
import { SaccadeError } from '../../../connectors/errors.ts';
import type { InferRequest, InferResponse, ModelMetadata } from '../../../schemas/api/inference-protocol.ts';
import type { Detection, Label, Prediction } from '../../../schemas/records.ts';
import { refuseSharedMemory } from './parameters.ts';

interface Tensor {
  readonly name: string;
  readonly datatype: 'BYTES' | 'FP32' | 'INT32';
  readonly shape: readonly number[];
  readonly data: readonly (string | number)[];
}

const named: ModelMetadata['outputs'] = [
  { name: 'labels', datatype: 'BYTES', shape: [-1, -1] },
  { name: 'scores', datatype: 'FP32', shape: [-1, -1] },
  { name: 'class_ids', datatype: 'INT32', shape: [-1, -1] },
];

/** What a model of this task answers. */
export const outputsOf = (task: string): ModelMetadata['outputs'] =>
  task === 'classification' ? named : [{ name: 'boxes', datatype: 'FP32', shape: [-1, -1, 4] }, ...named, { name: 'counts', datatype: 'INT32', shape: [-1] }];

/** '' and -1 fill up a row that has fewer than the longest. */
export function tensorsOf(task: string, predictions: readonly Pick<Prediction, 'labels' | 'detections'>[]): Tensor[] {
  const boxed = task !== 'classification';
  const rows: readonly (readonly (Label | Detection)[])[] = predictions.map(({ labels, detections }) => (boxed ? detections : labels));
  const width = Math.max(0, ...rows.map((row) => row.length));
  const fill = <T>(of: (one: Label | Detection) => readonly T[], blank: readonly T[]): T[] =>
    rows.flatMap((row) => Array.from({ length: width }, (_, at) => (row[at] ? of(row[at]) : blank)).flat());
  const shape = [rows.length, width];
  const tensors: Tensor[] = [
    { name: 'labels', datatype: 'BYTES', shape, data: fill(({ label }) => [label], ['']) },
    { name: 'scores', datatype: 'FP32', shape, data: fill(({ score }) => [score], [0]) },
    { name: 'class_ids', datatype: 'INT32', shape, data: fill(({ class_id }) => [class_id], [-1]) },
  ];
  if (!boxed) return tensors;
  const corners = (one: Label | Detection): number[] => ('x1' in one ? [one.x1, one.y1, one.x2, one.y2] : []);
  return [
    { name: 'boxes', datatype: 'FP32', shape: [...shape, 4], data: fill(corners, [-1, -1, -1, -1]) },
    ...tensors,
    { name: 'counts', datatype: 'INT32', shape: [rows.length], data: rows.map((row) => row.length) },
  ];
}

function bytesOf({ datatype, data }: Tensor): Buffer {
  if (datatype === 'BYTES') {
    return Buffer.concat(
      data.flatMap((text) => {
        const bytes = Buffer.from(`${text}`);
        const length = Buffer.alloc(4);
        length.writeUInt32LE(bytes.length);
        return [length, bytes];
      }),
    );
  }
  const out = Buffer.alloc(4 * data.length);
  data.forEach((value, at) => (datatype === 'FP32' ? out.writeFloatLE(Number(value), 4 * at) : out.writeInt32LE(Number(value), 4 * at)));
  return out;
}

export interface Rendered {
  readonly outputs: InferResponse['outputs'];
  /** Of the binary ones, in their order; null: none is binary, and the answer is JSON alone. */
  readonly binary: Buffer | null;
}

/** Those asked for, in that order. Throws bad_request for one that the model does not have. */
export function render(tensors: readonly Tensor[], { outputs, parameters }: Pick<InferRequest, 'outputs' | 'parameters'>): Rendered {
  const wanted = outputs && outputs.length > 0 ? outputs : tensors.map(({ name }) => ({ name, parameters: undefined }));
  const parts: Buffer[] = [];
  let anyBinary = false;
  const rendered = wanted.map(({ name, parameters: own }) => {
    const tensor = tensors.find((one) => one.name === name);
    if (!tensor) throw new SaccadeError('bad_request', `outputs: there is none called ${name.slice(0, 40)} (there are ${tensors.map((one) => one.name).join(', ')}).`);
    refuseSharedMemory(own, `outputs.${name}`);
    if (own?.classification !== undefined) throw new SaccadeError('bad_request', `outputs.${name}.parameters.classification: ask for labels and scores instead.`);
    const { datatype, shape, data } = tensor;
    if (!(own?.binary_data ?? parameters?.binary_data_output ?? false)) return { name, datatype, shape: [...shape], data: [...data] };
    const bytes = bytesOf(tensor);
    parts.push(bytes);
    anyBinary = true;
    return { name, datatype, shape: [...shape], parameters: { binary_data_size: bytes.length } };
  });
  return { outputs: rendered, binary: anyBinary ? Buffer.concat(parts) : null };
}
