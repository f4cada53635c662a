/** A graph opened in a worker thread. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Graph } from './messages.ts';

export type Outputs = Readonly<Record<string, Float32Array<ArrayBuffer>>>;

export interface Session {
  readonly graph: Graph;
  /** Takes any number of rows, else one. */
  readonly dynamic: boolean;
  /** Outputs of all rows, each flattened and joined. */
  run(rows: number, input: Uint8Array<ArrayBuffer> | Float32Array<ArrayBuffer>): Promise<Outputs>;
  release(): Promise<void>;
}

const say = (dims: readonly (number | string)[]): string => `[${['N', ...dims.slice(1)].join(',')}]`;

/** `bytes`: what is opened instead of its file. Throws when the provider refuses it, or TypeError, naming the file, when the graph is not what its card says. */
export async function openSession(graph: Graph, provider: string, intraOpThreads: number, bytes: Uint8Array | null = null): Promise<Session> {
  const options: InferenceSession.SessionOptions = {
    executionProviders: [provider],
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    intraOpNumThreads: intraOpThreads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  };
  const session = await (bytes ? InferenceSession.create(bytes, options) : InferenceSession.create(graph.path, options));
  try {
    const opened = { graph, dynamic: checkInput(graph, session), ...operations(graph, session) };
    await checkOutputs(graph, session);
    return opened;
  } catch (error) {
    await session.release();
    throw error;
  }
}

const shapeOf = ({ input }: Graph, rows: number): number[] =>
  input.kind === 'picture' ? [rows, input.height, input.width, 3] : [rows, input.size];

const typeOf = ({ input }: Graph): 'uint8' | 'float32' => (input.kind === 'picture' ? 'uint8' : 'float32');

async function runRaw(graph: Graph, session: InferenceSession, rows: number, data: Uint8Array | Float32Array): Promise<InferenceSession.OnnxValueMapType> {
  const shape = shapeOf(graph, rows);
  const tensor = graph.input.kind === 'picture' ? new Tensor('uint8', data as Uint8Array, shape) : new Tensor('float32', data as Float32Array, shape);
  return session.run({ [graph.input.name]: tensor }, Object.keys(graph.outputs));
}

function operations(graph: Graph, session: InferenceSession): Pick<Session, 'run' | 'release'> {
  return {
    async run(rows, data) {
      const found = await runRaw(graph, session, rows, data);
      return Object.fromEntries(Object.entries(found).map(([name, { data: values }]) => [name, values as Float32Array<ArrayBuffer>]));
    },
    release: () => session.release(),
  };
}

/** Rows of grey: what a graph is warmed up with. */
export function grey({ input }: Graph, rows: number): Uint8Array<ArrayBuffer> | Float32Array<ArrayBuffer> {
  return input.kind === 'picture' ? new Uint8Array(rows * input.height * input.width * 3).fill(127) : new Float32Array(rows * input.size).fill(0.5);
}

function checkInput(graph: Graph, session: InferenceSession): boolean {
  const { name } = graph.input;
  const found = session.inputMetadata.find((input) => input.name === name);
  if (!found || !found.isTensor) throw new TypeError(`${graph.path}: has no input ${name}, but ${session.inputNames.join(', ')}`);
  const expected = shapeOf(graph, 1).slice(1);
  const actual = found.shape.slice(1);
  // A dimension with a name takes any number.
  const fits = found.shape.length === expected.length + 1 && expected.every((size, i) => typeof actual[i] === 'string' || actual[i] === size);
  if (found.type !== typeOf(graph) || !fits) {
    throw new TypeError(`${graph.path}: input ${name} is ${found.type} ${say(found.shape)}, card.json says ${typeOf(graph)} ${say([1, ...expected])}`);
  }
  const rows = found.shape[0];
  if (typeof rows === 'number' && rows > 1) throw new TypeError(`${graph.path}: input ${name} takes exactly ${rows} rows; its first dimension must be dynamic or 1`);
  return typeof rows === 'string' || rows === undefined || rows < 1;
}

async function checkOutputs(graph: Graph, session: InferenceSession): Promise<void> {
  const missing = Object.keys(graph.outputs).find((output) => !session.outputNames.includes(output));
  if (missing !== undefined) throw new TypeError(`${graph.path}: has no output ${missing}, but ${session.outputNames.join(', ')}`);
  const first = await runRaw(graph, session, 1, grey(graph, 1));
  for (const [output, shape] of Object.entries(graph.outputs)) {
    const { dims, type } = first[output]!;
    if (type !== 'float32' || say(dims) !== shape.replaceAll(' ', '')) {
      throw new TypeError(`${graph.path}: output ${output} is ${type} ${say(dims)}, card.json says float32 ${shape}`);
    }
  }
}
