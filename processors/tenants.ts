/** The tenants there are, for a command that names one: of the settings, and of the metadata where there are any. */
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import type { Metadata } from '../connectors/metadata-port.ts';
import { openMetadataOf } from './connect.ts';
import type { Tenants } from './operations/world.ts';
import type { Settings } from './settings.ts';

/** Who runs the command, as the audit trail has it. */
export const actor = (): string => `cli:${userInfo().username}`;

/** Throws metadata_unavailable. */
export async function openTenants(s: Settings): Promise<Tenants & { close(): Promise<void> }> {
  const folder = join(resolve(s.SACCADE_DATA), 'postgres');
  // A pipeline that asks for keys has made them; asking must not make any, with an open one or on another machine.
  const metadata: Metadata | null = s.DATABASE_URL || existsSync(folder) ? await openMetadataOf(s, folder, 'command') : null;
  const made = metadata ? await metadata.access.tenants().catch((error: unknown) => closed(metadata, error)) : [];
  return {
    names: new Set([s.SACCADE_TENANT, ...s.SACCADE_TENANT_TOPICS.values(), ...made.map(({ name }) => name)]),
    async record(action, tenant, target) {
      await metadata?.audit.append([{ at: Date.now(), actor: actor(), tenant, role: 'admin', action, target: JSON.stringify(target), status: 0, address: '' }]);
    },
    close: async () => metadata?.close(),
  };
}

/** Nobody else would close them, and what is open keeps the command from ending. */
async function closed(metadata: Metadata, error: unknown): Promise<never> {
  await metadata.close();
  throw error;
}
