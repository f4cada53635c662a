/** Ports that stay ours while nothing listens on them: below the range from which the system hands out ports to anyone. */
import { createServer } from 'node:net';
import { SaccadeError } from '../../../connectors/errors.ts';

const [first, last] = [20_000, 30_000];
const taken = new Set<number>();

/** A port on loopback that this process has not been given before. A server that restarts finds it free again. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = first + Math.floor(Math.random() * (last - first));
    if (!taken.has(port) && (await canListen(port))) {
      taken.add(port);
      return port;
    }
  }
  throw new SaccadeError('engine_unavailable', `no free port between ${first} and ${last}`);
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
