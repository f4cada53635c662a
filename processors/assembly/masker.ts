/** Who covers faces in the pictures that this process shows, by what their tenants want now, and how long pictures lie in the log as they came. */
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import { topicSpecs } from '../../schemas/topics.ts';
import type { Faces } from '../access/faces.ts';
import { keptTooLong } from '../connect.ts';
import { coveringFor, type MaskPolicy, masksAnybody } from '../mask/policy.ts';
import { maskPolicyOf, openMasking } from '../masking.ts';
import { followPolicies, type Policies } from '../policies-topic.ts';
import { patiently } from '../runtime/patience.ts';
import type { Foundation } from './foundation.ts';
import type { Inference } from './inference.ts';
import { topicDefaults } from './topic-defaults.ts';

export async function openMasker(base: Foundation, { served }: Inference) {
  const { settings: s, repository, log, producer, clock, logger, ending, say, wants } = base;
  const told = (message: string): void => logger.warn({ stage: 'mask' }, message);
  const settings = maskPolicyOf(s);
  let policies: Policies | null = null;
  const policy = (): MaskPolicy => policies?.mask() ?? settings;
  const masking = openMasking({ settings: s, repository, engine: served?.engine ?? null, clock, policy, say: told });
  let on = false;
  let raw: string | null = null;

  /** Also while running: the first tenant that wants faces covered. Never rejects. */
  async function consider(): Promise<void> {
    if (on || !masksAnybody(policy())) return;
    on = true;
    // Only an edge shows pictures.
    [raw] = await Promise.all([rawPictures(base), wants('edge') ? masking.prepare() : null]);
  }

  // Others show and keep none.
  if (wants('edge') || wants('keep')) {
    const following = await patiently(() => followPolicies({ log, producer, clock, settings, say: told, changed: () => void (policies && consider()) }), { clock, say });
    ending.add('policies', () => following.close());
    policies = following;
  }
  ending.add('masking', () => masking.close());
  await consider();
  const { usual, tenants } = policy();
  const faces: Faces = {
    now: (tenant) => coveringFor(policy(), tenant),
    given: (tenant) => policies?.given(tenant) ?? null,
    async give(tenant, covering) {
      if (!policies) throw new SaccadeError('not_ready', 'This process shows no pictures.');
      await policies.give(tenant, covering);
    },
  };
  return {
    faces,
    masker: masking.masker,
    degraded: (): Record<string, string> => ({ ...masking.degraded(), ...(raw === null ? {} : { 'raw pictures': raw }) }),
    /** How the start tells of it. */
    said: on ? [usual, ...[...tenants].map(([tenant, covering]) => `${tenant}: ${covering}`)].join(', ') : null,
  };
}

/** Topics are created with the limit and never altered: one from before, or of somebody else's making, may keep pictures for longer. */
async function rawPictures({ config, stack, models, logger, settings: s }: Foundation): Promise<string | null> {
  // As they would have been made: who wanted faces covered by then, if anybody did, is not who does now.
  const made = { ...topicDefaults(s), rawHours: s.SACCADE_MASK_RAW_HOURS };
  const limited = topicSpecs(models.all().map(({ card }) => card.name), made, [...s.SACCADE_TENANT_TOPICS.keys()]).filter(({ segmentMs }) => segmentMs !== undefined);
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
