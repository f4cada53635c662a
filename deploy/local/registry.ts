/** Apicurio Registry beside the local broker, speaking Confluent's API. Its ids outlive it: records in Kafka name them for ever. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SaccadeError } from '../../connectors/errors.ts';
import { jvmFlags } from './jvm-flags.ts';
import { startLeashed, type Leashed } from './leash.ts';
import { choosePorts } from './ports.ts';

export interface StartRegistryOptions {
  readonly java: string;
  readonly jar: string;
  /** Data, log and pid of the registry. */
  readonly folder: string;
  readonly readyWithinMs?: number;
}

export interface LocalRegistry {
  /** Base URL for Confluent's clients. */
  readonly url: string;
  readonly child: Leashed;
}

/** Resolves when the registry answers. Throws server_unavailable. */
export async function startRegistry({ java, jar, folder, readyWithinMs = 60_000 }: StartRegistryOptions): Promise<LocalRegistry> {
  mkdirSync(folder, { recursive: true });
  const { http } = await choosePorts(join(folder, 'ports.json'), ['http']);
  const child = await startLeashed({
    name: 'registry',
    command: java,
    args: [...jvmFlags(384), '-jar', jar],
    folder,
    env: {
      QUARKUS_HTTP_HOST: '127.0.0.1',
      QUARKUS_HTTP_PORT: String(http),
      QUARKUS_LOG_LEVEL: 'WARN',
      APICURIO_LOG_LEVEL: 'WARN',
      QUARKUS_HTTP_ACCESS_LOG_ENABLED: 'false',
      APICURIO_STORAGE_KIND: 'sql',
      APICURIO_STORAGE_SQL_KIND: 'h2',
      // WRITE_DELAY=0: H2 otherwise writes a commit up to half a second later, and an id given out would be lost in a kill -9.
      APICURIO_DATASOURCE_URL: `jdbc:h2:file:${join(folder, 'data', 'registry')};WRITE_DELAY=0;DB_CLOSE_ON_EXIT=FALSE`,
      // For subjects without a level of their own; without it Apicurio accepts any schema.
      APICURIO_RULES_GLOBAL_COMPATIBILITY: 'BACKWARD',
    },
  });
  const url = `http://127.0.0.1:${http}/apis/ccompat/v7`;
  const within = AbortSignal.timeout(readyWithinMs);
  while (!(await answers(url))) {
    if (child.hasEnded()) throw new SaccadeError('server_unavailable', await child.ended);
    if (within.aborted) {
      await child.stop();
      throw new SaccadeError('server_unavailable', `the registry was not ready within ${readyWithinMs / 1000} s; its log is ${child.logFile}`);
    }
    await sleep(100);
  }
  return { url, child };
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/subjects`, { signal: AbortSignal.timeout(2000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
