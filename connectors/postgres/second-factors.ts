/** Second factors in PostgreSQL: the codes themselves are checked elsewhere, that each serves once is checked here. */
import { SaccadeError } from '../errors.ts';
import type { AccessStore } from '../metadata-port.ts';
import type { Database } from './database.ts';
import type { Sealer } from './sealing.ts';

type SecondFactors = Pick<AccessStore, 'secondFactor' | 'enrolSecondFactor' | 'takeStep' | 'removeSecondFactor' | 'sealSecrets'>;

export const secondFactors = ({ query, transaction }: Pick<Database, 'query' | 'transaction'>, { able, seal, open, how }: Sealer): SecondFactors => ({
  async secondFactor(principal) {
    const [row] = await query<{ secret: string; confirmed_at: Date | null }>('SELECT secret, confirmed_at FROM second_factors WHERE principal = $1', [principal]);
    return row ? { secret: open(row.secret, principal), confirmed: row.confirmed_at !== null } : null;
  },
  async enrolSecondFactor(principal, secret) {
    const written = await query(
      `INSERT INTO second_factors (principal, secret) VALUES ($1, $2)
       ON CONFLICT (principal) DO UPDATE SET secret = excluded.secret, last_step = -1 WHERE second_factors.confirmed_at IS NULL RETURNING 1`,
      [principal, seal(secret, principal)],
    );
    if (written.length === 0) throw new SaccadeError('already_exists', 'A second factor is enrolled; an admin removes it before another takes its place.');
  },
  // One statement: of two requests with one code, on whichever edges, one finds the step taken.
  takeStep: async (principal, step) =>
    (await query('UPDATE second_factors SET last_step = $2, confirmed_at = coalesce(confirmed_at, now()) WHERE principal = $1 AND last_step < $2 RETURNING 1', [principal, step])).length > 0,
  removeSecondFactor: async (principal) => (await query('DELETE FROM second_factors WHERE principal = $1 RETURNING 1', [principal])).length > 0,
  sealSecrets: () =>
    transaction(async (within) => {
      const counts = { sealed: 0, plain: 0 };
      for (const { principal, secret } of await within<{ principal: string; secret: string }>('SELECT principal, secret FROM second_factors FOR UPDATE')) {
        const kept = how(secret);
        if (typeof kept === 'object') {
          throw new SaccadeError('secrets_unavailable', `The second factor of ${principal} is sealed with the key ${kept.missing}, which is not here. Bring it back as SACCADE_SEALING_KEY or SACCADE_SEALING_KEY_FILE, or give the factor up: npm run saccade -- second-factor remove.`);
        }
        if (kept === 'current') continue;
        counts[able ? 'sealed' : 'plain'] += 1;
        if (able) await within('UPDATE second_factors SET secret = $2 WHERE principal = $1', [principal, seal(open(secret, principal), principal)]);
      }
      return counts;
    }),
});
