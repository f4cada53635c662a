/** Takes as many frames from the topic `frames` as a viewer can see, and leaves the rest undecoded. */
import type { LogRecord, SchemaRegistry } from '../../connectors/ports.ts';
import type { Frame } from '../../schemas/records.ts';
import { recentlyUsed } from './recently-used.ts';

/** By key: the source of a camera's frames. Requests over HTTP have a key each, which the limit over all of them holds. */
const KEY_EVERY_MS = 60;
const KEYS = 256;
const FRAMES_A_SECOND = 90;
const DECODING_BYTES = 16 * 1024 * 1024;

/** Frames that can't be decoded are not its business: ingest wrote them, and whoever must read them reports it. */
export function frameTap(registry: Pick<SchemaRegistry, 'decode'>, taken: (frame: Frame) => void): (records: readonly LogRecord[], now: number) => void {
  const keys = recentlyUsed(KEYS, () => ({ at: -Infinity }));
  let decoding = 0;
  let second = 0;
  let inSecond = 0;

  return (records, now) => {
    if (Math.floor(now / 1000) !== second) {
      second = Math.floor(now / 1000);
      inSecond = 0;
    }
    // Newest first: of what was fetched at once, only the last of a source would be seen.
    for (const record of records.toReversed()) {
      if (record.value === null || inSecond >= FRAMES_A_SECOND || decoding > DECODING_BYTES) continue;
      const of = keys.get(record.key?.toString() ?? '');
      if (now - of.at < KEY_EVERY_MS) continue;
      of.at = now;
      inSecond += 1;
      const bytes = record.value.length;
      decoding += bytes;
      void registry
        .decode(record.topic, record.value)
        .then((frame) => taken(frame as Frame), () => undefined)
        .finally(() => (decoding -= bytes));
    }
  };
}
