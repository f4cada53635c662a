/** Types of columns, as far as one must know them to see where their values end. */
import { notImplemented } from './exception.ts';

export type DataType =
  | { readonly kind: 'fixed'; readonly bytes: number }
  | { readonly kind: 'text' }
  | { readonly kind: 'nullable' | 'array' | 'dictionary'; readonly of: readonly [DataType] }
  | { readonly kind: 'tuple'; readonly of: readonly DataType[] };

const fixed = (bytes: number): DataType => ({ kind: 'fixed', bytes });
const array = (of: DataType): DataType => ({ kind: 'array', of: [of] });
const tuple = (...of: DataType[]): DataType => ({ kind: 'tuple', of });

const point = tuple(fixed(8), fixed(8));
const sizes: readonly (readonly [number, RegExp])[] = [
  [1, /^(U?Int8|Bool|Enum8|Nothing)$/],
  [2, /^(U?Int16|Enum16|Date|BFloat16)$/],
  [4, /^(U?Int32|Float32|Date32|DateTime|IPv4|Decimal32|Time)$/],
  [8, /^(U?Int64|Float64|DateTime64|Decimal64|Time64|Interval\w+)$/],
  [16, /^(U?Int128|UUID|IPv6|Decimal128)$/],
  [32, /^(U?Int256|Decimal256)$/],
];
const composed: Readonly<Record<string, (of: readonly string[]) => DataType>> = {
  String: () => ({ kind: 'text' }),
  FixedString: ([bytes]) => fixed(Number(bytes)),
  Decimal: ([digits]) => fixed([9, 18, 38, 76].reduce((bytes, most) => (Number(digits) > most ? bytes * 2 : bytes), 4)),
  Nullable: ([of]) => ({ kind: 'nullable', of: [parsed(of!)] }),
  // What it holds beside an index: a NULL is an index like any other.
  LowCardinality: ([of]) => ({ kind: 'dictionary', of: [parsed(of!.replace(/^Nullable\(([^]*)\)$/, '$1'))] }),
  Array: ([of]) => array(parsed(of!)),
  Map: (of) => array(tuple(...of.map(parsed))),
  // One of nothing takes a byte all the same.
  Tuple: (of) => (of.length === 0 ? fixed(1) : tuple(...of.map(element))),
  Nested: (of) => array(tuple(...of.map(element))),
  SimpleAggregateFunction: (of) => parsed(of.at(-1)!),
  Point: () => point,
  Ring: () => array(point),
  LineString: () => array(point),
  Polygon: () => array(array(point)),
  MultiLineString: () => array(array(point)),
  MultiPolygon: () => array(array(array(point))),
};

const known = new Map<string, DataType>();
const mayKnow = 1_000;

/** Throws NOT_IMPLEMENTED for a type whose values have no length that can be told from it. */
export function dataTypeOf(name: string): DataType {
  const type = known.get(name) ?? parsed(name);
  if (known.size >= mayKnow) known.clear();
  known.set(name, type);
  return type;
}

function parsed(name: string): DataType {
  const [, word, within] = /^(\w+)(?:\(([^]*)\))?$/.exec(name) ?? [];
  const bytes = word && sizes.find(([, names]) => names.test(word))?.[0];
  if (bytes) return fixed(bytes);
  const make = word && Object.hasOwn(composed, word) ? composed[word] : undefined;
  if (!make) throw notImplemented(`The embedded ClickHouse gives no ${name.slice(0, 100)} in the Native format of the binary protocol: turn it into a String.`);
  return make(within === undefined ? [] : parts(within));
}

/** A name may stand before the type of a tuple's element, in backquotes if it is no plain word. */
const element = (part: string): DataType => parsed(part.replace(/^(`(?:[^`\\]|\\[^])*`|\w+) (?=\S)/, ''));

/** What commas divide, but for those in parentheses and quotes. */
function parts(text: string): string[] {
  const found: string[] = [];
  let [depth, from] = [0, 0];
  for (const { 0: sign, index } of text.matchAll(/'(?:[^'\\]|\\[^])*'|`(?:[^`\\]|\\[^])*`|[(),]/g)) {
    if (sign === '(') depth++;
    else if (sign === ')') depth--;
    else if (sign === ',' && depth === 0) {
      found.push(text.slice(from, index).trim());
      from = index + 1;
    }
  }
  return [...found, text.slice(from).trim()].filter((part) => part !== '');
}
