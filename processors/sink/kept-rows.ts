/** Kept frames as rows of their table (schemas/clickhouse). */
import type { Column } from '../../connectors/ports.ts';
import type { KeptFrame } from '../../schemas/records.ts';

const time = "DateTime64(3, 'UTC')";
const word = 'LowCardinality(String)';
const field = (name: keyof KeptFrame & string, type: string): Column<KeptFrame> => ({ name, type, of: (frame) => frame[name] });

export const keptTable = 'kept_frames_raw';
export const keptColumns: readonly Column<KeptFrame>[] = [
  field('frame_id', 'UUID'),
  field('tenant', word),
  field('source', word),
  field('reason', word),
  field('captured_at', time),
  field('kept_at', time),
  field('content_type', word),
  field('size', 'UInt32'),
  field('masked', 'Bool'),
  field('blob', 'String'),
];
