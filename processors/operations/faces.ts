/** `faces set TENANT COVERING` and `faces list`: how a tenant's faces are covered, in every process that runs, from the next picture on. */
import { SaccadeError } from '../../connectors/errors.ts';
import { type Covering, coverings, encodeCovering, readPolicy } from '../../schemas/policies.ts';
import { tenantPattern } from '../../schemas/roles.ts';
import type { Command } from './command.ts';

/** Takes back what was set. */
const asSettings = 'settings';
const allowed = [...coverings, asSettings];

function read(argv: readonly string[]): readonly [tenant: string, covering: Covering | null] {
  const [tenant = '', covering = '', ...more] = argv;
  if (!tenantPattern.test(tenant)) throw new SaccadeError('bad_request', `'${tenant}' is not the name of a tenant.`);
  if (!allowed.includes(covering) || more.length > 0) throw new SaccadeError('bad_request', `faces set takes a tenant and one of ${allowed.join(', ')}, not '${[covering, ...more].join(' ')}'.`);
  return [tenant, covering === asSettings ? null : (covering as Covering)];
}

/** An installation may have thousands. */
function some(names: ReadonlySet<string>): string {
  const first = [...names].slice(0, 20);
  return `${first.join(', ')}${names.size > first.length ? ` and ${names.size - first.length} more` : ''}`;
}

export const facesSet: Command = {
  name: 'faces set',
  usage: `TENANT ${allowed.join('|')}`,
  summary: "How the tenant's faces are covered in every picture that is shown or kept, from the next one on; settings: as SACCADE_MASK_TENANTS and SACCADE_MASK_FACES say.",
  options: [],
  async run(argv, open, { say }) {
    const [tenant, covering] = read(argv);
    const { policies, tenants } = await open();
    const { names, record } = await tenants();
    // What was set for nobody can still be taken back.
    if (!names.has(tenant) && !(covering === null && policies.entries().has(tenant))) {
      throw new SaccadeError('not_found', `There is no tenant '${tenant}'; there is ${some(names)}. Others come by tenants create, or by SACCADE_TENANT and SACCADE_TENANT_TOPICS, which this command has to be given as the pipeline is.`);
    }
    await policies.put(tenant, encodeCovering(covering));
    say(`faces of ${tenant}: ${covering ?? 'as the settings say'}, from now on, in every process that shows or keeps pictures; what was kept before is covered when it is shown`);
    // Said before: it is so, whether the trail has it or not.
    await record('faces set', tenant, { faces: covering });
  },
};

export const facesList: Command = {
  name: 'faces list',
  usage: '',
  summary: 'What was set so, by tenant; all others are as the settings say.',
  options: [],
  async run(argv, open, { print }) {
    if (argv.length > 0) throw new SaccadeError('bad_request', `faces list takes nothing, not '${argv[0]}'.`);
    const { policies } = await open();
    for (const [tenant, value] of policies.entries()) print(`${tenant}  ${readPolicy(value)?.faces ?? 'nonsense, so they are covered'}`);
  },
};
