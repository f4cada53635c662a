/** gzip, as in kafkajs, but bounded. */
import { promisify } from 'node:util';
import { gunzip as gunzipCallback, gzip as gzipCallback } from 'node:zlib';
import { maxUnpackedBytes, type Codec } from './codec.ts';

const gzip = promisify(gzipCallback);
const gunzip = promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzipCallback);

export const gzipCodec: Codec = {
  compress: ({ buffer }) => gzip(buffer),
  decompress: (buffer) => gunzip(buffer, { maxOutputLength: maxUnpackedBytes }),
};
