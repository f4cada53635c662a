/**
 * Teaches kafkajs to send large records without copying them at every level of a request. Its encoder nests: a value is
 * copied from the record into the batch, its checksummed body, the partition, the topic, the request, nine times in all,
 * each time into fresh memory that is cleared first; and its CRC-32C goes byte by byte in JavaScript. For tensors of 150 KB
 * that is more work than the decoding of the picture. Here an encoder keeps large parts as they are until the whole is
 * asked for: once, for the socket. The checksum is a native one, over the parts. The bytes are the same.
 *
 * It reaches into kafkajs 2.2.4, which is pinned; test/large-records.test.ts compares with what kafkajs writes by itself.
 */
import { createRequire } from 'node:module';
import { crc32c } from '@node-rs/crc32';

interface Encoder {
  buf: Buffer;
  offset: number;
  /** What comes before `buf`, in order. */
  parts?: Buffer[];
  partBytes?: number;
  readonly buffer: Buffer;
  size(): number;
  writeInt8(value: number): Encoder;
  writeInt16(value: number): Encoder;
  writeInt32(value: number): Encoder;
  writeInt64(value: unknown): Encoder;
  writeBufferInternal(buffer: Buffer): void;
  ensureAvailable(length: number): void;
}

interface BatchOptions {
  readonly compression?: number;
  readonly firstOffset?: unknown;
  readonly firstTimestamp?: unknown;
  readonly maxTimestamp?: unknown;
  readonly partitionLeaderEpoch?: number;
  readonly lastOffsetDelta?: number;
  readonly transactional?: boolean;
  readonly producerId?: unknown;
  readonly producerEpoch?: number;
  readonly firstSequence?: number;
  readonly records?: readonly Encoder[];
}

export interface KafkajsEncoding {
  readonly Encoder: { new (size?: number): Encoder; readonly prototype: Encoder };
  readonly batches: { RecordBatch: (options: BatchOptions) => Promise<Encoder>; readonly MAGIC_BYTE: number };
  readonly compression: { lookupCodec(type: number): { compress(encoder: Encoder): Promise<Buffer> }; readonly COMPRESSION_CODEC_MASK: number };
}

/** Below it a copy costs less than one part more. */
const largePart = 1024;
const transactionalBit = 16;
/** Of a batch: what its length counts and the checksum leaves out. */
const uncheckedBytes = 9;

export function improve({ Encoder, batches, compression }: KafkajsEncoding): void {
  const { prototype } = Encoder;

  /** What has been written so far becomes parts; the encoder goes on in a small buffer of its own. */
  function setAside(encoder: Encoder): Buffer[] {
    const parts = (encoder.parts ??= []);
    if (encoder.offset > 0) {
      parts.push(encoder.buf.subarray(0, encoder.offset));
      encoder.partBytes = (encoder.partBytes ?? 0) + encoder.offset;
      encoder.buf = encoder.buf.subarray(encoder.offset);
      encoder.offset = 0;
    }
    return parts;
  }

  function addPart(encoder: Encoder, part: Buffer): void {
    setAside(encoder).push(part);
    encoder.partBytes = (encoder.partBytes ?? 0) + part.length;
  }

  function add(encoder: Encoder, other: Encoder): void {
    for (const part of other.parts ?? []) addPart(encoder, part);
    if (other.offset > 0) encoder.writeBufferInternal(other.buf.subarray(0, other.offset));
  }

  const checked = (value: Encoder | null | undefined, message: string): Encoder => {
    if (value == null || !Buffer.isBuffer(value.buf)) throw new Error(message);
    return value;
  };

  Object.defineProperties(prototype, {
    buffer: {
      get(this: Encoder) {
        if (this.parts === undefined || this.parts.length === 0) return this.buf.subarray(0, this.offset);
        const whole = Buffer.concat(setAside(this));
        // It is asked for more than once: for the log, then for the socket.
        [this.buf, this.offset, this.parts, this.partBytes] = [whole, whole.length, [], 0];
        return whole;
      },
    },
    size: { value: function size(this: Encoder) { return (this.partBytes ?? 0) + this.offset; } },
    ensureAvailable: {
      value: function ensureAvailable(this: Encoder, length: number) {
        if (this.offset + length <= this.buf.length) return;
        const larger = Buffer.allocUnsafe(Math.max(512, 2 * this.offset, this.offset + length));
        this.buf.copy(larger, 0, 0, this.offset);
        this.buf = larger;
      },
    },
    writeBufferInternal: {
      value: function writeBufferInternal(this: Encoder, buffer: Buffer) {
        if (buffer.length >= largePart) return addPart(this, buffer);
        this.ensureAvailable(buffer.length);
        buffer.copy(this.buf, this.offset, 0);
        this.offset += buffer.length;
      },
    },
    writeEncoder: {
      value: function writeEncoder(this: Encoder, value: Encoder) {
        add(this, checked(value, 'value should be an instance of Encoder'));
        return this;
      },
    },
    writeEncoderArray: {
      value: function writeEncoderArray(this: Encoder, values: readonly Encoder[]) {
        if (!Array.isArray(values)) throw new Error('all values should be an instance of Encoder[]');
        for (const value of values) add(this, checked(value, 'all values should be an instance of Encoder[]'));
        return this;
      },
    },
  });

  const { MAGIC_BYTE } = batches;
  /** Produce requests ask for this function when the first of their version is sent, so it is never too late to replace it. */
  batches.RecordBatch = async (options) => {
    const { compression: type = 0, records = [], transactional = false, producerId = -1, producerEpoch = 0, firstSequence = 0 } = options;
    const now = Date.now();
    const codec = type & compression.COMPRESSION_CODEC_MASK;
    const body = new Encoder()
      .writeInt16(codec | (transactional ? transactionalBit : 0))
      .writeInt32(options.lastOffsetDelta ?? 0)
      .writeInt64(options.firstTimestamp ?? now)
      .writeInt64(options.maxTimestamp ?? now)
      .writeInt64(producerId)
      .writeInt16(producerEpoch)
      .writeInt32(firstSequence)
      .writeInt32(records.length);
    const together = new Encoder();
    for (const record of records) add(together, record);
    if (codec === 0) add(body, together);
    else addPart(body, await compression.lookupCodec(type).compress(together));

    const parts = setAside(body);
    const checksum = parts.reduce((sum, part) => crc32c(part, sum), 0);
    const batch = new Encoder()
      .writeInt64(options.firstOffset ?? 0)
      .writeInt32(uncheckedBytes + body.size())
      .writeInt32(options.partitionLeaderEpoch ?? 0)
      .writeInt8(MAGIC_BYTE)
      .writeInt32(checksum | 0);
    for (const part of parts) addPart(batch, part);
    return batch;
  };
}

/** Of the kafkajs that this process uses, or of another copy. */
export function encodingOf(require: NodeJS.Require): KafkajsEncoding {
  return {
    Encoder: require('kafkajs/src/protocol/encoder') as KafkajsEncoding['Encoder'],
    batches: require('kafkajs/src/protocol/recordBatch/v0') as KafkajsEncoding['batches'],
    compression: require('kafkajs/src/protocol/message/compression') as KafkajsEncoding['compression'],
  };
}

improve(encodingOf(createRequire(import.meta.url)));
