/** A single-node Kafka (KRaft) whose data outlives it. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Kafka, logLevel } from 'kafkajs';
import { SaccadeError } from '../../connectors/errors.ts';
import { jvmFlags } from './jvm-flags.ts';
import { kafkaProperties, propertiesText } from './kafka-properties.ts';
import { startLeashed, type Leashed } from './leash.ts';
import { choosePorts } from './ports.ts';

export interface StartKafkaOptions {
  readonly java: string;
  readonly classpath: string;
  /** Data, settings, log and pid of the broker. */
  readonly folder: string;
  readonly readyWithinMs?: number;
  /** A further listener, on a port of its own: properties on top of the usual ones, and what its users are formatted with. */
  readonly further?: {
    properties(port: number, usual: Readonly<Record<string, string | number | boolean>>): Readonly<Record<string, string | number | boolean>>;
    readonly format?: readonly string[];
  };
}

export interface LocalKafka {
  readonly brokers: readonly string[];
  /** Of the further listener; 0: there is none. */
  readonly furtherPort: number;
  readonly child: Leashed;
}

/** Resolves when a client can create topics. Throws server_unavailable. */
export async function startKafka({ java, classpath, folder, further, readyWithinMs = 60_000 }: StartKafkaOptions): Promise<LocalKafka> {
  mkdirSync(folder, { recursive: true });
  const data = join(folder, 'data');
  const settings = join(folder, 'server.properties');
  const ports: Record<'broker' | 'controller', number> & { further?: number } = await choosePorts(join(folder, 'ports.json'), ['broker', 'controller', ...(further ? ['further' as const] : [])]);
  const { further: furtherPort = 0 } = ports;
  const usual = kafkaProperties(data, ports);
  writeFileSync(settings, propertiesText({ ...usual, ...further?.properties(furtherPort, usual) }));
  const flags = [...jvmFlags(512), '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', '-Dorg.slf4j.simpleLogger.showDateTime=true', '-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS'];
  const run = [...flags, '-cp', classpath];
  if (!existsSync(join(data, 'meta.properties'))) await format(java, run, settings, further?.format);
  const child = await startLeashed({ name: 'kafka', command: java, args: [...run, 'kafka.Kafka', settings], folder });
  const broker = `127.0.0.1:${ports.broker}`;
  const within = AbortSignal.timeout(readyWithinMs);
  while (!(await answers(broker))) {
    if (child.hasEnded()) throw new SaccadeError('server_unavailable', await child.ended);
    if (within.aborted) {
      await child.stop();
      throw new SaccadeError('server_unavailable', `Kafka was not ready within ${readyWithinMs / 1000} s; its log is ${child.logFile}`);
    }
    await sleep(100);
  }
  return { brokers: [broker], furtherPort, child };
}

/** Gives an empty folder a cluster id. A format cut short is done again: meta.properties is the last thing it writes. */
async function format(java: string, run: readonly string[], settings: string, more: readonly string[] = []): Promise<void> {
  const tool = [...run, 'kafka.tools.StorageTool'];
  const id = (await say(java, [...tool, 'random-uuid'])).trim().split('\n').at(-1) ?? '';
  await say(java, [...tool, 'format', '--ignore-formatted', '-t', id, '-c', settings, ...more]);
}

function say(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    child.on('error', (error) => reject(new SaccadeError('server_unavailable', `${command}: ${error.message}`, error)));
    child.on('close', (code) =>
      code === 0 ? resolve(out) : reject(new SaccadeError('server_unavailable', `Kafka's storage could not be formatted: ${err.slice(-500)}`)),
    );
  });
}

async function answers(broker: string): Promise<boolean> {
  const kafka = new Kafka({ brokers: [broker], logLevel: logLevel.NOTHING, connectionTimeout: 1000, requestTimeout: 2000, retry: { retries: 0 } });
  const admin = kafka.admin();
  try {
    await admin.connect();
    // The listener opens before the controller has let the broker in; only then is it listed.
    return (await admin.describeCluster()).brokers.length > 0;
  } catch {
    return false;
  } finally {
    await admin.disconnect().catch(() => undefined);
  }
}
