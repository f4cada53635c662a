/** A linear head as an ONNX file, written field by field (onnx.proto, IR 8, opset 17): softmax(x · weights). */

const varint = (value: number): Buffer => {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
};
const number = (field: number, value: number): Buffer => Buffer.concat([varint(field << 3), varint(value)]);
const bytes = (field: number, ...parts: (Buffer | string)[]): Buffer => {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
  return Buffer.concat([varint((field << 3) | 2), varint(body.length), body]);
};
const float32 = 1;

const node = (op: string, inputs: string[], output: string): Buffer => bytes(1, ...inputs.map((input) => bytes(1, input)), bytes(2, output), bytes(4, op));
const value = (field: number, name: string, size: number): Buffer =>
  bytes(field, bytes(1, name), bytes(2, bytes(1, number(1, float32), bytes(2, bytes(1, bytes(2, 'N')), bytes(1, number(1, size))))));

/** `weights`: `size` rows of `classes` columns. Input x [N, size], output probabilities [N, classes]. */
export function linearHead(weights: Float32Array<ArrayBuffer>, size: number, classes: number): Buffer {
  const initializer = bytes(5, number(1, size), number(1, classes), number(2, float32), bytes(8, 'weights'), bytes(9, Buffer.from(weights.buffer)));
  const graph = [node('MatMul', ['x', 'weights'], 'logits'), node('Softmax', ['logits'], 'probabilities'), bytes(2, 'head'), initializer, value(11, 'x', size), value(12, 'probabilities', classes)];
  return Buffer.concat([number(1, 8), bytes(7, ...graph), bytes(8, number(2, 17))]);
}
