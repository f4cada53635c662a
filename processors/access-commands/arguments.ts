/** What `keys`, `tenants`, `audit` and `second-factor` are asked to do, checked before anything is opened. */
import { parseArgs } from 'node:util';
import { SaccadeError } from '../../connectors/errors.ts';
import { modelName, sourcePattern } from '../../schemas/api/access.ts';
import { planNames } from '../../schemas/plans.ts';
import { type Role, roles, tenantPattern } from '../../schemas/roles.ts';

export type AccessCommand =
  | { readonly name: 'keys create'; readonly tenant: string | null; readonly role: Role; readonly label: string; readonly plan: string | null; readonly models: readonly string[] | null; readonly sources: readonly string[] | null; readonly days: number | null }
  | { readonly name: 'keys list'; readonly tenant: string | null }
  | { readonly name: 'keys revoke'; readonly id: string }
  | { readonly name: 'tenants create'; readonly tenant: string; readonly plan: string | null }
  | { readonly name: 'tenants list' }
  | { readonly name: 'second-factor remove'; readonly principal: string }
  | { readonly name: 'audit list'; readonly last: number }
  | { readonly name: 'audit verify' };

const refuse = (detail: string): never => {
  throw new SaccadeError('bad_request', detail);
};

function oneOf<const T extends string>(option: string, value: string | undefined, allowed: readonly T[]): T {
  if (value !== undefined && (allowed as readonly string[]).includes(value)) return value as T;
  return refuse(`--${option} is ${value === undefined ? 'missing' : `'${value}'`}; it is one of ${allowed.join(', ')}.`);
}
function tenantNamed(value: string): string {
  return tenantPattern.test(value) ? value : refuse(`The tenant '${value}' is no name: letters, digits, _ . - are expected, 64 at most.`);
}
function listOf(option: string, value: string | undefined, pattern: RegExp): readonly string[] | null {
  const names = value?.split(',').map((name) => name.trim()) ?? null;
  const wrong = names?.find((name) => !pattern.test(name));
  return wrong === undefined ? names : refuse(`--${option} has '${wrong}'; names with commas are expected${option === 'sources' ? ', with * for the rest of one' : ''}.`);
}
function positive(option: string, value: string): number {
  const number = Number(value);
  return number > 0 && number <= 1_000_000 ? number : refuse(`--${option} is '${value}'; a number above 0 is expected.`);
}

/** Throws bad_request naming the option at fault. */
export function readArguments(argv: readonly string[]): AccessCommand {
  const options = { tenant: { type: 'string' }, role: { type: 'string' }, label: { type: 'string' }, plan: { type: 'string' }, models: { type: 'string' }, sources: { type: 'string' }, days: { type: 'string' }, last: { type: 'string' } } as const;
  let parsed: ReturnType<typeof parseArgs<{ args: string[]; options: typeof options; allowPositionals: true }>>;
  try {
    parsed = parseArgs({ args: [...argv], options, allowPositionals: true });
  } catch (error) {
    return refuse((error as Error).message.split('\n')[0]!);
  }
  const { values, positionals } = parsed;
  const [group, action, subject, ...more] = positionals;
  const name = `${group} ${action ?? ''}`.trim();
  const plan = values.plan === undefined ? null : oneOf('plan', values.plan, planNames);
  const tenant = values.tenant === undefined ? null : tenantNamed(values.tenant);
  const takesSubject = ['keys revoke', 'tenants create', 'second-factor remove'].includes(name);
  if (more.length > 0 || (subject !== undefined && !takesSubject)) refuse(`'${more[0] ?? subject}' is too much.`);
  if (takesSubject && subject === undefined) refuse(name === 'tenants create' ? 'What is it called?' : 'Whose? Name the id of the key, as keys list shows it.');
  switch (name) {
    case 'keys create': {
      const [models, sources] = [listOf('models', values.models, modelName), listOf('sources', values.sources, sourcePattern)];
      if (values.role === 'admin' && (models || sources)) refuse('An admin is not limited to models or sources.');
      return { name, tenant, role: oneOf('role', values.role, roles), label: values.label ?? '', plan, models, sources, days: values.days === undefined ? null : positive('days', values.days) };
    }
    case 'keys list':
      return { name, tenant };
    case 'keys revoke':
      // A whole key is taken too: it is what one has at hand when it has leaked.
      return { name, id: /^sac_([a-z0-9]{16})_/.exec(subject!)?.[1] ?? subject! };
    case 'tenants create':
      return { name, tenant: tenantNamed(subject!), plan };
    case 'second-factor remove':
      return { name, principal: subject!.includes(':') ? subject! : `key:${subject!}` };
    case 'tenants list':
    case 'audit verify':
      return { name };
    case 'audit list':
      return { name, last: Math.ceil(positive('last', values.last ?? '20')) };
    default:
      return refuse(`There is no command '${name}'; there is keys create|list|revoke, tenants create|list, second-factor remove, audit list|verify.`);
  }
}

export const help = `npm run saccade -- COMMAND: who may use the edge, and what they did.

  keys create --role viewer|operator|trainer|admin [--tenant NAME] [--label TEXT] [--days N] [--plan NAME]
              [--models NAME,…] [--sources NAME,BEGINNING*,…]
      Makes a key and prints it, this once. Without --days it does not expire; with --models or --sources it is for those alone.
  keys list [--tenant NAME]
  keys revoke ID
      At once, on every edge.
  tenants create NAME [--plan NAME]
  tenants list
  second-factor remove KEY-ID
      For an admin whose authenticator is lost; token:ISSUER#SUBJECT for one with tokens.
  audit list [--last 20]
      The last entries.
  audit verify
      Checks the chain of the trail from its first entry, and against the topic where it can be reached. Exits with 1 where
      something was changed, and says where.

Plans: ${planNames.join(', ')} (schemas/plans.json). The database is DATABASE_URL, else the one embedded in SACCADE_DATA. Exit codes: 0 done,
1 failed, 2 asked for something impossible, 3 the database cannot be reached.
`;
