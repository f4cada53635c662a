/** The Kafka of the run: stopped, killed and started again on the same port and data. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SaccadeError } from '../../../connectors/errors.ts';
import { startKafka, type StartKafkaOptions } from '../../../deploy/local/kafka.ts';
import { freePort } from './free-port.ts';

export interface Broker {
  readonly address: string;
  /** SIGTERM; resolves when it is gone. */
  stop(): Promise<void>;
  kill(): Promise<void>;
  /** Resolves when it serves clients again. */
  start(): Promise<void>;
}

export async function startBroker(options: StartKafkaOptions): Promise<Broker> {
  mkdirSync(options.folder, { recursive: true });
  // Ports that nobody takes while the broker is away: its clients know no other address.
  writeFileSync(join(options.folder, 'ports.json'), JSON.stringify({ broker: await freePort(), controller: await freePort() }));
  let running = await startKafka(options);
  const address = running.brokers[0]!;
  return {
    address,
    stop: () => running.child.stop(),
    async kill() {
      process.kill(running.child.pid, 'SIGKILL');
      await running.child.ended;
    },
    async start() {
      if (!running.child.hasEnded()) return;
      running = await startKafka({ ...options, readyWithinMs: 120_000 });
      if (running.brokers[0] !== address) throw new SaccadeError('engine_unavailable', `Kafka came back on ${running.brokers[0]} instead of ${address}: another process took its port.`);
    },
  };
}
