/** The newest frames in the log as pictures to calibrate on, with their faces covered where their tenants want that. */
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import type { BlobStore, LogRecord, Masker, Position } from '../../connectors/ports.ts';
import type { Frame } from '../../schemas/records.ts';

/** Where frames lie, and what it takes to get at their pictures. */
export interface FrameSource {
  /** First offset still held and next offset to be written, by partition. */
  bounds(): Promise<readonly (readonly [Position, Position])[]>;
  /** Visits the records from `from` up to, not including, `to`. */
  read(spans: readonly { readonly partition: number; readonly from: number; readonly to: number }[], visit: (record: LogRecord) => void): Promise<void>;
  decode(value: Buffer): Promise<Frame>;
  readonly blobs: Pick<BlobStore, 'get'>;
  readonly masker: Masker;
}

/**
 * Up to `count` pictures. What is no longer there or cannot be decoded is left out, and said. Throws bad_request when none is
 * left, masking_unavailable where faces are to be covered and cannot be.
 */
export async function newestPictures(count: number, source: FrameSource, say: (line: string) => void): Promise<Buffer[]> {
  const newest: LogRecord[] = [];
  const spans = (await source.bounds()).map(([low, high]) => ({ partition: low.partition, from: Math.max(low.offset, high.offset - count), to: high.offset }));
  await source.read(spans, (record) => {
    newest.push(record);
    // Of each partition as many are read as might be wanted of it alone: memory holds those that are.
    if (newest.length > 2 * count) keepNewest(newest, count);
  });
  keepNewest(newest, count);

  const pictures: Buffer[] = [];
  const reasons = new Map<string, number>();
  for (const { value } of newest) {
    try {
      if (value) pictures.push(await pictureOf(await source.decode(value), source));
    } catch (cause) {
      const { code } = asSaccadeError(cause);
      if (code === 'masking_unavailable') throw cause;
      reasons.set(code, (reasons.get(code) ?? 0) + 1);
    }
  }
  for (const [code, times] of reasons) say(`${times} of ${newest.length} frames are left out: ${code}`);
  if (pictures.length === 0) throw new SaccadeError('bad_request', `--frames: there is no frame ${newest.length > 0 ? 'whose picture can be got at ' : ''}in the topic frames.`);
  return apart(pictures);
}

function keepNewest(records: LogRecord[], count: number): void {
  records.sort((a, b) => a.timestamp - b.timestamp || a.offset - b.offset);
  records.splice(0, records.length - count);
}

async function pictureOf({ image, claim, tenant }: Frame, { blobs, masker }: FrameSource): Promise<Buffer> {
  if (image === null && claim === null) throw new SaccadeError('payload_empty');
  const bytes = image ?? (await blobs.get(claim!));
  return (await masker.mask(bytes, tenant))?.bytes ?? bytes;
}

/**
 * The last quarter dealt out to every fourth place, which are those that are held out to be judged by: neighbours in a video are
 * all but the same picture, and one that was calibrated on would prove little.
 */
function apart(pictures: readonly Buffer[]): Buffer[] {
  const held = Math.floor(pictures.length / 4);
  const [earlier, later] = [pictures.slice(0, pictures.length - held), pictures.slice(pictures.length - held)];
  return pictures.map((_, at) => (at % 4 === 3 ? later.shift() : earlier.shift())!);
}
