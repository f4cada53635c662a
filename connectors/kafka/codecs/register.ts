/** Gives kafkajs every codec an ordinary producer may use: it has gzip alone, and a batch it cannot read stalls a partition. */
import kafkajs from 'kafkajs';
import { gzipCodec } from './gzip.ts';
import { lz4Codec } from './lz4.ts';
import { snappyCodec } from './snappy.ts';
import { tolerant } from './undecodable.ts';
import { zstdCodec } from './zstd.ts';

const { CompressionCodecs, CompressionTypes } = kafkajs;

CompressionCodecs[CompressionTypes.GZIP] = () => tolerant('gzip', gzipCodec);
CompressionCodecs[CompressionTypes.Snappy] = () => tolerant('snappy', snappyCodec);
CompressionCodecs[CompressionTypes.LZ4] = () => tolerant('lz4', lz4Codec);
CompressionCodecs[CompressionTypes.ZSTD] = () => tolerant('zstd', zstdCodec);
