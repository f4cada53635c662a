/** Who covers faces in the pictures that this process shows, and how long pictures lie in the log as they came. */
import { asSaccadeError } from '../../connectors/errors.ts';
import { keptTooLong } from '../connect.ts';
import { openMasking } from '../masking.ts';
import type { Foundation } from './foundation.ts';
import type { Inference } from './inference.ts';

export async function openMasker(base: Foundation, { served }: Inference) {
  const { settings: s, repository, clock, logger, ending, wants } = base;
  const masking = openMasking({ settings: s, repository, engine: served?.engine ?? null, clock, say: (message) => logger.warn({ stage: 'mask' }, message) });
  ending.add('masking', () => masking.close());
  // Only an edge shows pictures.
  if (masking.on && wants('edge')) await masking.prepare();
  const raw = masking.on ? await rawPictures(base) : null;
  const tenants = [...s.SACCADE_MASK_TENANTS].map(([tenant, covering]) => `${tenant}: ${covering}`);
  return {
    masker: masking.masker,
    degraded: (): Record<string, string> => ({ ...masking.degraded(), ...(raw === null ? {} : { 'raw pictures': raw }) }),
    /** How the start tells of it. */
    said: masking.on ? [s.SACCADE_MASK_FACES, ...tenants].join(', ') : null,
  };
}

/** Topics are created with the limit and never altered: one from before, or of somebody else's making, may keep pictures for longer. */
async function rawPictures({ config, stack, topicsOf, models, logger, settings: s }: Foundation): Promise<string | null> {
  const limited = topicsOf(models.all().map(({ card }) => card.name)).filter(({ segmentMs }) => segmentMs !== undefined);
  try {
    const longer = await keptTooLong(config, stack, limited, logger.child({ component: 'kafka' }));
    if (longer.length === 0) return null;
    const hours = (ms: number): string => (ms === Infinity ? 'for ever' : `${Math.round(ms / 3_600_000)} h`);
    const named = longer.map(({ spec: { name, retentionMs, segmentMs }, ms }) => `${name} ${hours(ms)} (set retention.ms=${retentionMs}, segment.ms=${segmentMs})`);
    return `kept longer than SACCADE_MASK_RAW_HOURS=${s.SACCADE_MASK_RAW_HOURS} allows: ${named.join(', ')}`;
  } catch (error) {
    return `how long the topics keep them is not known: ${asSaccadeError(error).message}`;
  }
}
