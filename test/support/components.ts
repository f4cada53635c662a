/** Which real components this machine has. On a developer's machine a missing one skips its tests and says so; in CI it fails them. */
import { execFileSync } from 'node:child_process';

const inCi = process.env.CI === 'true';

/** The `skip` option of a test that needs a component: false when it is there, else the reason. Throws in CI, where nothing may be skipped. */
export function skipUnless(available: boolean, component: string, howToGetIt: string): string | false {
  if (available) return false;
  if (inCi) throw new Error(`${component} is required in CI: ${howToGetIt}`);
  return `needs ${component}: ${howToGetIt}`;
}

/** Whether a program is there: `flag` has it say something and end. */
export function hasProgram(name: string, flag: string): boolean {
  try {
    execFileSync(name, [flag], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Set by test/run.ts, which starts one real Kafka and one real registry for all test files. Use topics and groups of your own. */
export const kafkaBrokers: readonly string[] | null = process.env.SACCADE_TEST_KAFKA?.split(',') ?? null;
export const registryUrl: string | null = process.env.SACCADE_TEST_REGISTRY ?? null;

export const needsKafka = skipUnless(kafkaBrokers !== null, 'Kafka', 'npm test starts it where Java 17 and Maven are installed');
export const needsRegistry = skipUnless(registryUrl !== null, 'the schema registry', 'npm test starts it where Java 17 and Maven are installed');
