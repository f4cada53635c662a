/** `keys`, `tenants` and `audit` of `npm run saccade`: finds the database, and runs one command. */
import { join, resolve } from 'node:path';
import { asSaccadeError, SaccadeError } from '../../connectors/errors.ts';
import type { KeyInfo, Metadata } from '../../connectors/metadata-port.ts';
import type { AuditEntry } from '../../schemas/audit.ts';
import { makeKey } from '../access/key.ts';
import { readConfig } from '../config.ts';
import { openMetadataOf } from '../connect.ts';
import type { Settings } from '../settings.ts';
import { actor } from '../tenants.ts';
import { type AccessCommand, help, readArguments } from './arguments.ts';
import { topicReader } from './read-topic.ts';
import { verifyTrail } from './verify.ts';

export interface Terminal {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

interface World {
  readonly settings: Settings;
  readonly metadata: Metadata;
  readonly print: (line: string) => void;
  readonly say: (line: string) => void;
}

const dayMs = 86_400_000;

/** Runs, prints, and answers the exit code. */
export async function accessCommand(argv: readonly string[], env: NodeJS.ProcessEnv, { stdout, stderr }: Terminal = process): Promise<number> {
  const say = (line: string): void => void stderr.write(`${line}\n`);
  if (argv.includes('--help') || argv.includes('-h')) {
    stdout.write(help);
    return 0;
  }
  let metadata: Metadata | null = null;
  try {
    const command = readArguments(argv);
    const { settings } = readConfig([], env);
    metadata = await openMetadataOf(settings, join(resolve(settings.SACCADE_DATA), 'postgres'), 'command');
    return await run(command, { settings, metadata, print: (line) => void stdout.write(`${line}\n`), say });
  } catch (cause) {
    const error = asSaccadeError(cause);
    const asked = error.code === 'bad_request' || error.code === 'invalid_config' || error.code === 'not_found' || error.code === 'already_exists';
    say(`${asked ? error.detail || error.message : error.message}${error.code === 'bad_request' ? '\nSee npm run saccade -- keys --help.' : ''}`);
    return asked ? 2 : error.code === 'metadata_unavailable' ? 3 : 1;
  } finally {
    await metadata?.close();
  }
}

async function run(command: AccessCommand, world: World): Promise<number> {
  const { settings, metadata, print, say } = world;
  const { access, audit } = metadata;
  switch (command.name) {
    case 'keys create': {
      const { id, secretHash, text } = makeKey();
      const tenant = command.tenant ?? settings.SACCADE_TENANT;
      // The home tenant is there from the first start on, which may be yet to come.
      if (tenant === settings.SACCADE_TENANT) await access.ensureTenant(tenant);
      const expiresAt = command.days === null ? null : Date.now() + command.days * dayMs;
      await access.createKey({ id, secretHash, tenant, role: command.role, label: command.label, plan: command.plan, models: command.models, sources: command.sources, createdBy: actor(), expiresAt });
      await record(world, 'keys create', tenant, { key: id, role: command.role, plan: command.plan, models: command.models, sources: command.sources, expires_at: expiresAt });
      print(text);
      say(`a key of ${tenant}, role ${command.role}${expiresAt === null ? '' : `, until ${new Date(expiresAt).toISOString()}`}; it is shown this once`);
      return 0;
    }
    case 'keys list':
      for (const line of table(['id', 'tenant', 'role', 'plan', 'models', 'sources', 'state', 'last used', 'label'], (await access.keys(command.tenant)).map(keyRow))) print(line);
      return 0;
    case 'keys revoke': {
      const key = await access.revokeKey(command.id, null);
      if (!key) throw new SaccadeError('not_found', `There is no key '${command.id}'.`);
      await record(world, 'keys revoke', key.tenant, { key: key.id });
      say(`the key ${key.id} of ${key.tenant} is revoked`);
      return 0;
    }
    case 'tenants create':
      await access.createTenant(command.tenant, command.plan);
      await record(world, 'tenants create', command.tenant, { plan: command.plan });
      say(`the tenant ${command.tenant} is there; it has no key yet`);
      return 0;
    case 'tenants list':
      for (const line of table(['tenant', 'plan', 'since'], (await access.tenants()).map(({ name, plan, createdAt }) => [name, plan ?? '', new Date(createdAt).toISOString()]))) print(line);
      return 0;
    case 'second-factor remove':
      if (!(await access.removeSecondFactor(command.principal))) throw new SaccadeError('not_found', `${command.principal} has no second factor.`);
      await record(world, 'second-factor remove', settings.SACCADE_TENANT, { principal: command.principal });
      say(`${command.principal} has no second factor any more`);
      return 0;
    case 'audit list': {
      const { number } = await audit.head();
      for (const { number: at, entry } of await audit.read(Math.max(1, number - command.last + 1), command.last)) print(`${at} ${entry}`);
      return 0;
    }
    case 'audit verify':
      return verify(world);
  }
}

async function verify({ settings, metadata, say }: World): Promise<number> {
  const topic = topicReader(settings);
  try {
    const { entries, pruned, compared, broken } = await verifyTrail(metadata.audit, topic && topic.read, settings.SACCADE_KEEP_AUDIT_DAYS * 86_400_000);
    const seen = compared === null ? 'the topic could not be reached' : `${compared} entries of the topic were compared`;
    const from = pruned > 0 ? ` from number ${pruned + 1} on` : '';
    say(broken ? `BROKEN at entry ${broken.number}: ${broken.why} (${entries} entries read${from}; ${seen})` : `${entries} entries${from}, the chain is whole; ${seen}`);
    return broken ? 1 : 0;
  } finally {
    await topic?.close();
  }
}

function record({ metadata }: World, action: string, tenant: string, target: object): Promise<void> {
  const entry: AuditEntry = { at: Date.now(), actor: actor(), tenant, role: 'admin', action, target: JSON.stringify(target), status: 0, address: '' };
  return metadata.audit.append([entry]);
}

function keyRow({ id, tenant, role, plan, models, sources, revokedAt, expiresAt, lastUsedAt, label }: KeyInfo): string[] {
  const state = revokedAt !== null ? 'revoked' : expiresAt === null ? 'good' : expiresAt <= Date.now() ? 'expired' : `until ${new Date(expiresAt).toISOString().slice(0, 16)}`;
  return [id, tenant, role, plan ?? '', models?.join(',') ?? '', sources?.join(',') ?? '', state, lastUsedAt === null ? 'never' : new Date(lastUsedAt).toISOString().slice(0, 19), label];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  return [head, ...rows].map((row) => row.map((cell, i) => cell.padEnd(widths[i]!)).join('  ').trimEnd());
}
