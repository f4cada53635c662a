/** Free ports on loopback, and the same ones again when they are still free, so that clients find the stack after a restart. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';

/** One port for each name. `file` remembers them from start to start. */
export async function choosePorts<Name extends string>(file: string, names: readonly Name[]): Promise<Record<Name, number>> {
  const earlier = remembered(file);
  const chosen: [Name, number][] = [];
  for (const name of names) chosen.push([name, await tryPort(earlier[name] ?? 0)]);
  const ports = Object.fromEntries(chosen) as Record<Name, number>;
  writeFileSync(file, JSON.stringify(ports));
  return ports;
}

function remembered(file: string): Record<string, number | undefined> {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<string, number>;
  } catch {
    return {};
  }
}

/** The port itself if it can be listened on, else any free one. */
function tryPort(wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => (wanted === 0 ? reject(error) : resolve(tryPort(0))));
    server.listen(wanted, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
