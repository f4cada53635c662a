/**
 * Assembles the little WebAssembly text that the kernels need: one memory, functions without results, flat instructions,
 * named locals and labels. It runs once at start, in milliseconds, and saves both a binary that nobody can read and a
 * toolchain to make it. Opcodes: WebAssembly core specification, section 5.4.
 */
import { SaccadeError } from '../../../connectors/errors.ts';

type Form = string | Form[];
type Bytes = number[];

const simd = (opcode: number): Bytes => [0xfd, ...unsigned(opcode)];
const opcodes: Readonly<Record<string, Bytes>> = {
  'block': [0x02, 0x40], 'loop': [0x03, 0x40], 'end': [0x0b], 'br': [0x0c], 'br_if': [0x0d],
  'local.get': [0x20], 'local.set': [0x21], 'local.tee': [0x22],
  'i32.load': [0x28], 'i32.store': [0x36], 'i32.const': [0x41],
  'i32.lt_u': [0x49], 'i32.add': [0x6a], 'i32.sub': [0x6b], 'i32.mul': [0x6c],
  'v128.load': simd(0), 'v128.load32_splat': simd(9), 'v128.store': simd(11), 'v128.const': simd(12), 'i8x16.shuffle': simd(13), 'i8x16.swizzle': simd(14),
  'i32x4.splat': simd(17), 'v128.store8_lane': simd(88), 'v128.store16_lane': simd(89), 'v128.load32_lane': simd(86), 'v128.and': simd(78),
  'i32x4.extract_lane': simd(27), 'i8x16.narrow_i16x8_u': simd(102), 'i16x8.narrow_i32x4_s': simd(133),
  'i16x8.extend_low_i8x16_u': simd(137), 'i16x8.extend_high_i8x16_u': simd(138),
  'i8x16.min_u': simd(119), 'i8x16.max_u': simd(121),
  'i32x4.shl': simd(171), 'i32x4.shr_s': simd(172), 'i32x4.shr_u': simd(173), 'i32x4.add': simd(174), 'i32x4.sub': simd(177), 'i32x4.dot_i16x8_s': simd(186),
  'f32x4.add': simd(228), 'f32x4.mul': simd(230), 'f32x4.div': simd(231), 'f32x4.convert_i32x4_s': simd(250), 'i32x4.trunc_sat_f32x4_s': simd(248),
  'f64x2.add': simd(240), 'f64x2.mul': simd(242), 'f64x2.convert_low_i32x4_s': simd(254), 'f64x2.promote_low_f32x4': simd(95),
};
const types: Readonly<Record<string, number>> = { i32: 0x7f, v128: 0x7b };

/** One module of all the texts, in the binary format. Throws internal for text it does not know. */
export function assemble(texts: readonly string[]): Uint8Array<ArrayBuffer> {
  const tokens = texts.join('\n').replace(/;;.*/g, '').match(/[()]|[^\s()]+/g) ?? [];
  const fields = read(tokens).flatMap(([, ...own]) => own as Form[]);
  const memory = fields.find((field) => field[0] === 'memory') as [string, Form[], string];
  const functions = fields.filter((field): field is Form[] => field[0] === 'func').map(compile);
  const exports = [name(memory[1], 2, 0), ...functions.map((f, i) => name(f.exported, 0, i))];
  return Uint8Array.from([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, functions.map((f) => [0x60, ...vector(f.params.map((type) => [type])), 0])),
    ...section(3, functions.map((_, i) => [i])),
    ...section(5, [[0, ...unsigned(Number(memory[2]))]]),
    ...section(7, exports),
    ...section(10, functions.map((f) => sized([...vector(f.locals.map((type) => [1, type])), ...f.body]))),
  ]);
}

function read(tokens: readonly string[]): Form[] {
  const open: Form[][] = [[]];
  for (const token of tokens) {
    if (token === '(') open.push([]);
    else if (token === ')') open.at(-2)!.push(open.pop()!);
    else open.at(-1)!.push(token);
  }
  return open[0]!;
}

function compile([, ...forms]: Form[]) {
  const declared = (kind: string) => forms.filter((form): form is string[] => form[0] === kind);
  const [params, locals] = [declared('param'), declared('local')];
  const names = [...params, ...locals].map(([, variable]) => variable!);
  const code = forms.filter((form) => typeof form === 'string');
  const labels: string[] = [];
  const body: Bytes = [];
  for (let at = 0; at < code.length; ) {
    const word = code[at++]!;
    body.push(...(opcodes[word] ?? unknown(word)));
    if (word === 'block' || word === 'loop') labels.push(code[at++]!);
    else if (word === 'end') labels.pop();
    else if (word.startsWith('br')) body.push(depth(labels, code[at++]!));
    else if (word.startsWith('local.')) body.push(...unsigned(index(names, code[at++]!)));
    else if (word === 'i32.const') body.push(...signed(Number(code[at++])));
    else if (word === 'i32x4.extract_lane') body.push(Number(code[at++]));
    else if (word === 'i8x16.shuffle' || word === 'v128.const') for (let lane = 0; lane < 16; lane++) body.push(Number(code[at++]));
    // The hint of alignment is 1: rows of RGB begin anywhere.
    else if (/\.(load|store)/.test(word)) {
      body.push(0, ...unsigned(code[at]?.startsWith('offset=') ? Number(code[at++]!.slice(7)) : 0));
      if (word.endsWith('_lane')) body.push(Number(code[at++]));
    }
  }
  const typed = (list: string[][]): number[] => list.map(([, , type]) => types[type!] ?? unknown(type!));
  return { exported: forms[0] as Form[], params: typed(params), locals: typed(locals), body: [...body, ...opcodes.end!] };
}

const depth = (labels: readonly string[], label: string): number => labels.length - 1 - index(labels, label);
function index(known: readonly string[], word: string): number {
  const at = known.lastIndexOf(word);
  return at < 0 ? unknown(word) : at;
}
function unknown(word: string): never {
  throw new SaccadeError('internal', `The assembler does not know ${word}.`);
}

function name([, quoted]: Form[], kind: number, at: number): Bytes {
  return [...sized([...Buffer.from(String(quoted).replaceAll('"', ''))]), kind, at];
}
const section = (id: number, items: readonly Bytes[]): Bytes => [id, ...sized(vector(items))];
const vector = (items: readonly Bytes[]): Bytes => [...unsigned(items.length), ...items.flat()];
const sized = (bytes: Bytes): Bytes => [...unsigned(bytes.length), ...bytes];

/** LEB128. */
function unsigned(value: number): Bytes {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}
function signed(value: number): Bytes {
  const fits = value >= -0x40 && value < 0x40;
  return fits ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}
