/** Kafka over TLS with SASL: a real broker with such a listener, reached by the settings as a deployment would. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fetchJars, findJavaTools } from '../deploy/local/jars.mjs';
import { type LocalKafka, startKafka } from '../deploy/local/kafka.ts';
import { needsKafka } from './support/components.ts';
import { makeCertificate, needsRedisAndOpenssl as needsOpenssl } from './support/redis.ts';

/** Produces a record and reads it again, with nothing but the settings. */
const script = `
  import { kafkaLog } from './connectors/kafka/log.ts';
  import { kafkaOptions } from './processors/connect.ts';
  import { readConfig } from './processors/config.ts';
  const { settings } = readConfig([], process.env, '/nonexistent');
  const silent = { debug() {}, info() {}, warn() {}, error() {} };
  const log = kafkaLog(kafkaOptions(settings, settings.KAFKA_BROKERS, 'secured', silent));
  const topic = { name: 'secured', schema: null, plainBytes: true, partitions: 1, replication: 1, minInSync: 1, retentionMs: 3_600_000, maxRecordBytes: 1_000_000 };
  await log.ensureTopics([topic]);
  const producer = await log.producer();
  await producer.send([{ topic: 'secured', key: 'k', value: Buffer.from('over TLS') }]);
  const read = new Promise((resolve) => void log.consumer({ group: 'secured-' + process.pid, topics: ['secured'], from: 'earliest', maxBytes: 1e6, maxBytesPerPartition: 1e6,
    handlers: { assigned() {}, records: (_g, _s, records) => resolve(String(records[0].value)) } }));
  console.log(await read);
  await log.close();
`;

describe('Kafka over TLS with SASL', { skip: needsKafka || needsOpenssl, timeout: 180_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'saccade-secured-'));
  const { cert, key } = makeCertificate();
  let kafka: LocalKafka;
  before(async () => {
    const tools = findJavaTools();
    assert.ok(!('missing' in tools));
    const jars = await fetchJars(tools, () => {});
    const keystore = join(folder, 'keystore.pem');
    writeFileSync(keystore, readFileSync(key, 'utf8') + readFileSync(cert, 'utf8'));
    kafka = await startKafka({
      java: tools.java,
      classpath: jars.kafka,
      folder: join(folder, 'kafka'),
      further: {
        properties: (port, usual) => ({
          listeners: `${usual.listeners},SASL_SSL://127.0.0.1:${port}`,
          'advertised.listeners': `${usual['advertised.listeners']},SASL_SSL://localhost:${port}`,
          'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL',
          'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-512',
          'listener.name.sasl_ssl.plain.sasl.jaas.config': 'org.apache.kafka.common.security.plain.PlainLoginModule required user_plain="plain secret";',
          'listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config': 'org.apache.kafka.common.security.scram.ScramLoginModule required;',
          'ssl.keystore.type': 'PEM',
          'ssl.keystore.location': keystore,
        }),
        format: ['--add-scram', 'SCRAM-SHA-512=[name=scram,password=scram-secret]'],
      },
    });
  });
  after(async () => {
    await kafka?.child.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const run = (env: Record<string, string>) =>
    spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      encoding: 'utf8', timeout: 90_000,
      env: { PATH: process.env.PATH, HOME: process.env.HOME, KAFKA_BROKERS: `localhost:${kafka.furtherPort}`, KAFKA_SSL: 'true', NODE_EXTRA_CA_CERTS: cert, ...env },
    });
  const plain = { KAFKA_SASL_MECHANISM: 'plain', KAFKA_USERNAME: 'plain', KAFKA_PASSWORD: 'plain secret' };

  test('PLAIN and SCRAM: what is produced is read', () => {
    assert.match(run(plain).stdout, /over TLS/);
    assert.match(run({ KAFKA_SASL_MECHANISM: 'scram-sha-512', KAFKA_USERNAME: 'scram', KAFKA_PASSWORD: 'scram-secret' }).stdout, /over TLS/);
  });

  test('a wrong password and a certificate of nobody known are refused', () => {
    const wrong = run({ ...plain, KAFKA_PASSWORD: 'guessed' });
    assert.ok(wrong.status !== 0 && !/over TLS/.test(wrong.stdout));
    assert.match(wrong.stderr, /invalid_config|log_unavailable/);
    const stranger = run({ ...plain, NODE_EXTRA_CA_CERTS: '' });
    assert.ok(stranger.status !== 0 && !/over TLS/.test(stranger.stdout));
    assert.match(stranger.stderr, /log_unavailable|self-signed|certificate/);
  });

  test('the certificate is the one that was made for it', () => {
    const shown = execFileSync('openssl', ['s_client', '-connect', `localhost:${kafka.furtherPort}`, '-CAfile', cert], { input: '', stdio: ['pipe', 'pipe', 'ignore'] }).toString();
    assert.match(shown, /Verify return code: 0/);
  });
});
