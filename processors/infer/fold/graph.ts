/** An ONNX graph to be edited (onnx.proto's ModelProto and GraphProto): its operators and constants, and all the rest as it came. */
import { readNode, writeNode, type Node } from './node.ts';
import { isExternal, nameOfTensor, readTensor, tensorField, type Tensor } from './tensor.ts';
import { bytesField, type Field, integersOf, readFields, textOf, wires, writeFields } from './wire.ts';

export interface Graph {
  readonly nodes: readonly Node[];
  /** The value of a tensor that no run can change: an initializer, or what a Constant makes. */
  constant(name: string): Tensor | null;
  /** The one operator that takes a tensor, once; null where there are several, or none, or where it is an answer of the graph too. */
  only(name: string): Node | null;
  /** What makes it; undefined for inputs and initializers. */
  producer(name: string): Node | undefined;
  /** Takes a constant in, and answers its name. */
  add(like: string, tensor: Tensor): string;
  /** A name that no tensor has. */
  fresh(like: string): string;
  /** Puts operators where the last of those stood that they replace. */
  replace(old: readonly Node[], by: readonly Node[]): void;
  /** The whole model, without the constants that nothing takes any more. */
  write(): Uint8Array;
}

const model = { graph: 7, opsets: 8 } as const;
const numbers = { node: 1, initializer: 5, sparse: 15, input: 11, output: 12, shapes: 13 } as const;
const opset = { domain: 1, version: 2 } as const;
/** From here on the operators looked for have today's form. */
const oldestOpset = 13;

/** Null for what is better left alone: an older opset, values in other files, graphs within operators. Throws TypeError when it is no ONNX model. */
export function readGraph(bytes: Uint8Array): Graph | null {
  const fields = readFields(bytes);
  const graphs = fields.filter(({ number, wire }) => number === model.graph && wire === wires.bytes);
  if (graphs.length !== 1) throw new TypeError('It is no ONNX model: it has not one graph');
  if (!standard(fields.filter(({ number }) => number === model.opsets))) return null;
  const inside = readFields(graphs[0]!.payload);
  const initializers = new Map(inside.filter(({ number }) => number === numbers.initializer).map(({ payload }) => [nameOfTensor(payload), payload]));
  const nodes = inside.filter(({ number }) => number === numbers.node).map(({ payload }) => readNode(payload));
  const strange = [...initializers.values()].some(isExternal) || nodes.some(({ attributes }) => [...attributes.values()].some(({ hasGraph }) => hasGraph));
  if (strange || inside.some(({ number }) => number === numbers.sparse)) return null;
  return editable({ nodes, initializers, inside, outside: fields });
}

function standard(imports: readonly Field[]): boolean {
  return imports.some(({ payload }) => {
    const parts = readFields(payload);
    const domain = parts.find(({ number }) => number === opset.domain);
    const [version = 0] = integersOf(parts.filter(({ number }) => number === opset.version));
    return ['', 'ai.onnx'].includes(domain ? textOf(domain) : '') && version >= oldestOpset;
  });
}

/** The first field of ValueInfoProto. */
const nameOfValue = ({ payload }: Field): string => {
  const name = readFields(payload).find(({ number }) => number === 1);
  return name ? textOf(name) : '';
};

interface Parts {
  readonly nodes: readonly Node[];
  readonly initializers: ReadonlyMap<string, Uint8Array>;
  readonly inside: readonly Field[];
  readonly outside: readonly Field[];
}

function editable({ nodes: read, initializers, inside, outside }: Parts): Graph {
  let nodes = read;
  const added = new Map<string, Tensor>();
  const named = (number: number): Set<string> => new Set(inside.filter((field) => field.number === number).map(nameOfValue));
  const [inputs, answers] = [named(numbers.input), named(numbers.output)];
  const taken = new Set([...initializers.keys(), ...inputs, ...read.flatMap(({ outputs }) => outputs)]);

  const fresh = (like: string): string => {
    let name = `${like}_folded`;
    for (let i = 2; taken.has(name); i++) name = `${like}_folded_${i}`;
    taken.add(name);
    return name;
  };
  const producer = (name: string): Node | undefined => nodes.find(({ outputs }) => outputs.includes(name));

  return {
    get nodes() {
      return nodes;
    },
    constant(name) {
      // One that is an input too may be given by whoever runs the graph.
      const payload = inputs.has(name) ? undefined : initializers.get(name);
      if (payload) return readTensor(payload);
      const made = producer(name);
      return added.get(name) ?? (made?.op === 'Constant' && made.domain === '' ? (made.attributes.get('value')?.tensor ?? null) : null);
    },
    only(name) {
      const takers = answers.has(name) ? [] : nodes.filter((node) => node.inputs.includes(name));
      return takers.length === 1 && takers[0]!.inputs.filter((input) => input === name).length === 1 ? takers[0]! : null;
    },
    producer,
    add(like, tensor) {
      const name = fresh(like);
      added.set(name, tensor);
      return name;
    },
    fresh,
    replace(old, by) {
      const last = nodes.indexOf(old.at(-1)!);
      nodes = nodes.flatMap((node, i) => [...(old.includes(node) ? [] : [node]), ...(i === last ? by : [])]);
    },
    write() {
      const used = new Set(nodes.flatMap((node) => node.inputs));
      const there = new Set([...inputs, ...nodes.flatMap(({ outputs }) => outputs)]);
      const wanted = (name: string): boolean => used.has(name) || answers.has(name) || inputs.has(name);
      const rest = inside.filter((field) => {
        if (field.number === numbers.initializer) return wanted(nameOfTensor(field.payload));
        return field.number === numbers.shapes ? there.has(nameOfValue(field)) || initializers.has(nameOfValue(field)) : field.number !== numbers.node;
      });
      const graph = writeFields([
        ...nodes.filter(({ op, outputs }) => op !== 'Constant' || outputs.some(wanted)).map((node) => bytesField(numbers.node, writeNode(node))),
        ...rest,
        ...[...added].filter(([name]) => wanted(name)).map(([name, tensor]) => tensorField(numbers.initializer, name, tensor)),
      ]);
      return writeFields(outside.map((field) => (field.number === model.graph ? bytesField(model.graph, graph) : field)));
    },
  };
}

export const isOp = (node: Node | null | undefined, op: string): node is Node => node?.op === op && node.domain === '';
