/** What kafkajs asks of a compression codec. */
export interface Codec {
  compress(encoder: { buffer: Buffer }): Promise<Buffer>;
  decompress(buffer: Buffer): Promise<Buffer>;
}

/**
 * What one batch may unpack to. The topic's record limit holds for the packed batch, and 8 MB of zeros pack into a few
 * kilobytes: without a bound of our own one small batch could take the memory of the process, again after every restart.
 */
export const maxUnpackedBytes = 64 * 1024 * 1024;
