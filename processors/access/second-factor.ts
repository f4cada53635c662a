/** A second factor (TOTP, RFC 6238) for what an admin changes: its codes serve once, and cannot be tried out. */
import { generateSecret, generateURI, verifySync } from 'otplib';
import { SaccadeError } from '../../connectors/errors.ts';
import type { AccessStore } from '../../connectors/metadata-port.ts';
import type { Clock, RateCounter } from '../../connectors/ports.ts';

export type SecondFactorRule = 'off' | 'enrolled' | 'required';

export interface SecondFactorCheck {
  /** Begins an enrolment; it holds once a first code has been shown. Throws already_exists. */
  enrol(principal: string): Promise<{ readonly secret: string; readonly uri: string }>;
  /** Confirms an enrolment. Throws second_factor_needed, rate_limited. */
  confirm(principal: string, code: string): Promise<void>;
  /** Nothing, or second_factor_needed, rate_limited: what this principal changes needs this code. */
  demand(principal: string, code: string | undefined): Promise<void>;
}

const stepSeconds = 30;
/** A code is good for its own half minute, and a step before and after: clocks differ, and people type. */
const toleranceSeconds = 30;
/** Of a million codes three are good at any time: five wrong ones in five minutes, and an attacker needs years. */
const tries = { requests: 5, seconds: 300 };

export function secondFactor({ access, counter, clock, rule }: { readonly access: AccessStore; readonly counter: RateCounter; readonly clock: Clock; readonly rule: SecondFactorRule }): SecondFactorCheck {
  async function take(principal: string, secret: string, code: string): Promise<void> {
    const counted = `totp:${principal}`;
    // Counted before it is looked at: else many at once would all be tried.
    const { allowed, resetMs } = await counter.take(counted, tries);
    if (!allowed) throw new SaccadeError('rate_limited', `Too many codes were shown; try again in ${Math.ceil(resetMs / 1000)} s.`);
    const result = /^\d{6}$/.test(code) ? verifySync({ secret, token: code, epoch: Math.floor(clock.now() / 1000), epochTolerance: toleranceSeconds, period: stepSeconds }) : { valid: false as const };
    const step = result.valid ? Math.floor(clock.now() / 1000 / stepSeconds) + result.delta : null;
    if (step === null || !(await access.takeStep(principal, step))) throw new SaccadeError('second_factor_needed', 'The code in Saccade-OTP is wrong, or was used before.');
    // It was no try: who has much to change in five minutes is not stopped.
    await counter.giveBack(counted, tries);
  }

  return {
    async enrol(principal) {
      const secret = generateSecret();
      await access.enrolSecondFactor(principal, secret);
      return { secret, uri: generateURI({ issuer: 'Saccade', label: principal, secret }) };
    },
    async confirm(principal, code) {
      const held = await access.secondFactor(principal);
      if (!held) throw new SaccadeError('not_found', 'Enrol a second factor first.');
      await take(principal, held.secret, code);
    },
    async demand(principal, code) {
      if (rule === 'off') return;
      const held = await access.secondFactor(principal);
      if (!held?.confirmed) {
        if (rule === 'required') throw new SaccadeError('second_factor_needed', 'Enrol one: POST /v1/admin/second-factor.');
        return;
      }
      if (code === undefined) throw new SaccadeError('second_factor_needed', 'Send the code of your second factor as Saccade-OTP.');
      await take(principal, held.secret, code);
    },
  };
}
