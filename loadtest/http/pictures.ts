/** Pictures to send: no two alike, or the same few again and again. */
import { requestOf } from './connection.ts';

const startOfImage = 2;
const digits = 12;
/** What was sent before in this process; a run goes on where the last one stopped, or its pictures would be known. */
let sent = 0;

/** Requests with one picture each, whose bytes are unlike those of any before: a comment in the JPEG counts. */
export function distinctPictures(pictures: readonly Buffer[], path: string): () => Buffer[] {
  const bodies = pictures.map((jpeg) => jpeg.subarray(startOfImage));
  return () => requestOf(path, 'image/jpeg', [commented(sent), bodies[sent++ % bodies.length]!]);
}

/** Requests with the same pictures, in turn. */
export function samePictures(pictures: readonly Buffer[], path: string): () => Buffer[] {
  let turn = 0;
  const requests = pictures.map((jpeg) => requestOf(path, 'image/jpeg', [jpeg]));
  return () => requests[turn++ % requests.length]!;
}

/** Requests of several pictures, no two alike, as a form. */
export function batches(pictures: readonly Buffer[], path: string, count: number): () => Buffer[] {
  const boundary = 'saccade-bench';
  const part = Buffer.from(`--${boundary}\r\ncontent-disposition: form-data; name="images"; filename="p.jpg"\r\ncontent-type: image/jpeg\r\n\r\n`);
  const [lineEnd, end] = [Buffer.from('\r\n'), Buffer.from(`--${boundary}--\r\n`)];
  const bodies = pictures.map((jpeg) => jpeg.subarray(startOfImage));
  return () => {
    const parts = Array.from({ length: count }, () => [part, commented(sent), bodies[sent++ % bodies.length]!, lineEnd]);
    return requestOf(path, `multipart/form-data; boundary=${boundary}`, [...parts.flat(), end]);
  };
}

/** The first bytes of a JPEG, with a comment that holds a number. */
function commented(n: number): Buffer {
  const text = String(n).padStart(digits, '0');
  return Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xfe, 0, digits + 2]), Buffer.from(text)]);
}
