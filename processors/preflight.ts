/** What this machine must grant, asked before anything is started: after half a minute of starting Kafka it would be late to say no. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { SaccadeError } from '../connectors/errors.ts';

const refuse = (detail: string, cause: unknown): SaccadeError => new SaccadeError('invalid_config', detail, cause);
const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);

/** Makes the data folder. Throws invalid_config when nothing can be written there. */
export function checkFolder(data: string): void {
  const probe = join(data, `.writable.${process.pid}`);
  try {
    mkdirSync(data, { recursive: true });
    writeFileSync(probe, '');
    rmSync(probe);
  } catch (error) {
    throw refuse(`SACCADE_DATA is '${data}', where nothing can be written (${codeOf(error)}). Set it to a folder that this user may write to.`, error);
  }
}

/** Listens for a moment. Throws invalid_config naming PORT or HOST, whichever is at fault. */
export function checkPort(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => reject(refuse(portRefusal(host, port, codeOf(error)), error)));
    server.listen({ host, port }, () => server.close(() => resolve()));
  });
}

/** The sentence for what listening failed with. */
export function portRefusal(host: string, port: number, code: string): string {
  if (code === 'EADDRINUSE') return `PORT ${port} on ${host} is taken; set PORT to another, or 0 for any free one.`;
  if (code === 'EACCES') return `PORT ${port} is not allowed to this user (${code}); set PORT to one above 1023.`;
  return `HOST is '${host}', where this machine cannot listen (${code}); 127.0.0.1 is for this machine only, 0.0.0.0 for all its networks.`;
}
