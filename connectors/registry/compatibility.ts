/** A subject's compatibility level: BACKWARD at least, because consumers are updated before producers. */
import { SaccadeError } from '../errors.ts';

/** Levels that include BACKWARD. One that an operator has set is left as it is. */
const sufficient = new Set(['BACKWARD', 'BACKWARD_TRANSITIVE', 'FULL', 'FULL_TRANSITIVE']);

export interface CompatibilityLevels {
  /** The level a registration has to name. Throws incompatible_schema for a level that would let breaking changes in, registry_unavailable. */
  settle(subject: string): Promise<string>;
}

export function compatibilityLevels(url: string, auth?: { readonly username: string; readonly password: string }): CompatibilityLevels {
  const headers: Record<string, string> = { 'content-type': 'application/vnd.schemaregistry.v1+json' };
  if (auth) headers.authorization = `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}`;

  const config = async (subject: string, change: RequestInit = {}): Promise<Response> => {
    const address = `${url.replace(/\/+$/, '')}/config/${encodeURIComponent(subject)}`;
    try {
      return await fetch(address, { ...change, headers, signal: AbortSignal.timeout(10_000) });
    } catch (error) {
      throw new SaccadeError('registry_unavailable', `${subject}: ${(error as Error).message}`, error);
    }
  };

  return {
    async settle(subject) {
      const answer = await config(subject);
      // A new subject gets its level from the client, right after its first schema.
      if (answer.status === 404) return 'BACKWARD';
      if (!answer.ok) throw new SaccadeError('registry_unavailable', `${subject}: status ${answer.status}`);
      const level = ((await answer.json()) as { compatibilityLevel: string }).compatibilityLevel.toUpperCase();
      if (sufficient.has(level)) return level;
      // Apicurio says NONE for a subject without a level; also what a kill between schema and level leaves behind.
      if (level !== 'NONE') throw new SaccadeError('incompatible_schema', `${subject} has the compatibility level ${level}; BACKWARD is needed.`);
      const changed = await config(subject, { method: 'PUT', body: JSON.stringify({ compatibility: 'BACKWARD' }) });
      if (!changed.ok) throw new SaccadeError('registry_unavailable', `${subject}: status ${changed.status}`);
      return 'BACKWARD';
    },
  };
}
