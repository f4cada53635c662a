/** One operator of an ONNX graph (onnx.proto's NodeProto and AttributeProto). Attributes that nobody here knows are kept. */
import { readTensor, type Tensor } from './tensor.ts';
import { bytesField, type Field, integer, integerOf, integersOf, readFields, text, textOf, writeFields } from './wire.ts';

export interface Node {
  readonly op: string;
  /** Of the standard operators ''. */
  readonly domain: string;
  /** '' where an optional one is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
  /** As read: what is written again. */
  readonly fields: readonly Field[];
}

/** Those of the attribute's values that are there. */
export interface Attribute {
  readonly int: number | null;
  readonly string: string | null;
  readonly ints: readonly number[];
  readonly tensor: Tensor | null;
  readonly hasGraph: boolean;
}

const numbers = { input: 1, output: 2, name: 3, op: 4, attribute: 5, domain: 7 } as const;
const attributes = { name: 1, int: 3, string: 4, tensor: 5, graph: 6, ints: 8, graphs: 11, type: 20 } as const;
/** AttributeProto.AttributeType. */
const attributeTypes = { int: 2, ints: 7 } as const;

export function readNode(payload: Uint8Array): Node {
  const fields = readFields(payload);
  const texts = (number: number): string[] => fields.filter((field) => field.number === number).map(textOf);
  return {
    op: texts(numbers.op)[0] ?? '',
    domain: texts(numbers.domain)[0]?.replace(/^ai\.onnx$/, '') ?? '',
    inputs: texts(numbers.input),
    outputs: texts(numbers.output),
    attributes: new Map(fields.filter(({ number }) => number === numbers.attribute).map((field) => readAttribute(field.payload))),
    fields,
  };
}

function readAttribute(payload: Uint8Array): [string, Attribute] {
  const fields = readFields(payload);
  const first = (number: number): Field | undefined => fields.find((field) => field.number === number);
  const [name, int, string, tensor] = [first(attributes.name), first(attributes.int), first(attributes.string), first(attributes.tensor)];
  return [name ? textOf(name) : '', {
    int: int ? integerOf(int) : null,
    string: string ? textOf(string) : null,
    ints: integersOf(fields.filter(({ number }) => number === attributes.ints)),
    tensor: tensor ? readTensor(tensor.payload) : null,
    hasGraph: fields.some(({ number }) => number === attributes.graph || number === attributes.graphs),
  }];
}

export const writeNode = ({ fields }: Node): Uint8Array => writeFields(fields);

type Given = Readonly<Record<string, number | readonly number[]>>;

/** A standard operator. It has no name: names are optional, and must not be given twice. */
export function makeNode(op: string, inputs: readonly string[], outputs: readonly string[], given: Given = {}): Node {
  return readNode(writeFields([
    ...inputs.map((input) => text(numbers.input, input)),
    ...outputs.map((output) => text(numbers.output, output)),
    text(numbers.op, op),
    ...Object.entries(given).map(([name, value]) => attributeField(name, value)),
  ]));
}

export interface Change {
  readonly inputs?: readonly string[];
  readonly outputs?: readonly string[];
  /** Attributes instead of its own of the same names. */
  readonly given?: Given;
  readonly without?: readonly string[];
}

/** The same operator between other tensors, and with other attributes. With other outputs it is another, so without its name. */
export function changed(node: Node, { inputs = node.inputs, outputs = node.outputs, given = {}, without = [] }: Change): Node {
  const replaced = ({ number, payload }: Field): boolean =>
    number === numbers.input || number === numbers.output || (number === numbers.name && outputs !== node.outputs) ||
    (number === numbers.attribute && (readAttribute(payload)[0] in given || without.includes(readAttribute(payload)[0])));
  return readNode(writeFields([
    ...inputs.map((input) => text(numbers.input, input)),
    ...outputs.map((output) => text(numbers.output, output)),
    ...node.fields.filter((field) => !replaced(field)),
    ...Object.entries(given).map(([name, value]) => attributeField(name, value)),
  ]));
}

function attributeField(name: string, value: number | readonly number[]): Field {
  const single = typeof value === 'number';
  const values = single ? [integer(attributes.int, value)] : value.map((each) => integer(attributes.ints, each));
  return bytesField(numbers.attribute, writeFields([text(attributes.name, name), ...values, integer(attributes.type, single ? attributeTypes.int : attributeTypes.ints)]));
}
