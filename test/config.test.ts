import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { helpText, readConfig } from '../processors/config.ts';
import { edgeConfigOf } from '../processors/assembly/doors.ts';
import { parseSource } from '../processors/camera/source-spec.ts';
import { edgeConfig } from '../processors/edge/config.ts';
import { preprocessConfig } from '../processors/preprocess/config.ts';
import { settings } from '../processors/settings.ts';

const read = (argv: string[] = [], env: NodeJS.ProcessEnv = {}) => readConfig(argv, env, '/nonexistent');
const refused = (argv: string[], env: NodeJS.ProcessEnv, ...mentions: RegExp[]) =>
  assert.throws(
    () => read(argv, env),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, 'invalid_config');
      for (const mention of mentions) assert.match(error.message, mention);
      return true;
    },
  );

describe('configuration', () => {
  test('defaults are complete and frozen', () => {
    const { settings: s, given } = read();
    assert.equal(s.PORT, 8080);
    assert.deepEqual(s.SACCADE_STAGES, ['ingest', 'preprocess', 'infer', 'sink', 'drift', 'keep', 'edge']);
    assert.deepEqual(s.SACCADE_SOURCE, ['demo']);
    assert.equal(s.KAFKA_BROKERS, undefined);
    assert.equal(given.size, 0);
    assert.throws(() => Object.assign(s, { PORT: 1 }), TypeError);
  });

  test('flags win over the environment; a repeated flag keeps commas in its values', () => {
    const { settings: s, given } = read(['--stages', 'infer,sink', '--source', '{a,b}/*.jpg', '--source', 'demo', '--fuse', 'infer+sink'], { SACCADE_STAGES: 'edge' });
    assert.deepEqual(s.SACCADE_STAGES, ['infer', 'sink']);
    assert.deepEqual(s.SACCADE_SOURCE, ['{a,b}/*.jpg', 'demo']);
    assert.deepEqual(s.SACCADE_FUSE, [['infer', 'sink']]);
    assert.ok(given.has('SACCADE_STAGES'));
  });

  test('what is wrong names itself, its value and what is allowed', () => {
    refused([], { PORT: 'eighty' }, /PORT is 'eighty'/, /whole number/);
    refused([], { PORT: '70000' }, /PORT is '70000'/, /65535/);
    refused([], { SACCADE_PROVIDERS: 'cpu,tpu' }, /SACCADE_PROVIDERS/, /cuda/);
    refused([], { KAFKA_BROKERS: 'kafka' }, /KAFKA_BROKERS is 'kafka'/, /host:port/);
    refused([], { CLICKHOUSE_URL: 'clickhouse:9000' }, /CLICKHOUSE_URL/, /http/);
    refused(['--stages', 'infre'], {}, /--stages is 'infre'/, /preprocess/);
    refused(['--fuse', 'ingest+sink'], {}, /--fuse/, /neighbours/);
    refused(['--portt', '1'], {}, /--portt/, /--help/);
    refused(['--data', 'a', '--data', 'b'], {}, /--data/);
  });

  test('no more pixels than preprocess takes', () => {
    const most = read([], { SACCADE_MAX_PIXELS: '268402689' }).settings.SACCADE_MAX_PIXELS;
    assert.equal(preprocessConfig.parse({ maxPixels: most }).maxPixels, most);
    refused([], { SACCADE_MAX_PIXELS: '268402690' }, /SACCADE_MAX_PIXELS/, /268402689/);
  });

  test('an unknown SACCADE_ variable is a typing error, not a default', () => refused([], { SACCADE_PARTITION: '4' }, /SACCADE_PARTITION is not a setting/));

  test('the address of Redis holds no login and no options', () => {
    for (const url of ['redis://redis:6379', 'rediss://10.0.0.1:6380/3', 'redis://[::1]:6379/']) assert.equal(read([], { REDIS_URL: url }).settings.REDIS_URL, url);
    refused([], { REDIS_URL: 'redis://u:s3cret@redis' }, /REDIS_URL/, /REDIS_USERNAME and REDIS_PASSWORD/);
    assert.throws(() => read([], { REDIS_URL: 'redis://u:s3cret@redis' }), (error: Error) => !error.message.includes('s3cret'));
    refused([], { REDIS_URL: 'redis://redis?family=6' }, /REDIS_URL/, /database/);
    refused([], { REDIS_URL: 'redis://redis/one' }, /REDIS_URL/, /database/);
    refused([], { REDIS_URL: 'http://redis' }, /REDIS_URL is 'http:..redis'/, /redis:\/\//);
    refused([], { REDIS_URL: 'redis://redis', REDIS_USERNAME: 'u' }, /REDIS_USERNAME needs REDIS_PASSWORD/);
    refused([], { REDIS_PASSWORD: 's3cret' }, /REDIS_PASSWORD is set, REDIS_URL is not/);
    refused([], { SACCADE_CACHE: 'yes' }, /SACCADE_CACHE is 'yes'/, /stills/);
  });

  test('preprocess and infer are one step where one process runs both, unless told otherwise', () => {
    const fusedOf = (...argv: string[]) => read(argv).settings.SACCADE_FUSE;
    assert.deepEqual(fusedOf(), [['preprocess', 'infer']]);
    assert.deepEqual(fusedOf('--stages', 'infer,sink'), []);
    assert.deepEqual(fusedOf('--fuse', 'none'), []);
    assert.deepEqual(fusedOf('--fuse', 'infer+sink'), [['infer', 'sink']]);
  });

  test('settings that contradict each other are refused', () => {
    refused([], { KAFKA_USERNAME: 'u' }, /KAFKA_SASL_MECHANISM, KAFKA_USERNAME and KAFKA_PASSWORD/);
    refused(['--stages', 'infer', '--fuse', 'preprocess+infer'], {}, /preprocess is not among SACCADE_STAGES/);
    refused([], { SACCADE_MODELS: 'nanodet,nanodet@1' }, /SACCADE_MODELS/);
    refused([], { SACCADE_TENANT_TOPICS: 'frames.in.dlq=acme' }, /SACCADE_TENANT_TOPICS/, /NAME is not dlq/);
    assert.deepEqual([...read([], { SACCADE_TENANT_TOPICS: 'frames.in.dlq-1=acme,frames.in.b=b' }).settings.SACCADE_TENANT_TOPICS.keys()], ['frames.in.dlq-1', 'frames.in.b']);
    refused([], { SACCADE_CLAIM_CHECK_BYTES: '5000', SACCADE_MAX_IMAGE_BYTES: '4000' }, /SACCADE_CLAIM_CHECK_BYTES/);
    refused([], { SACCADE_EDGE_FRAME_KB: '4097', SACCADE_MAX_IMAGE_BYTES: '4194304' }, /SACCADE_EDGE_FRAME_KB \(4097\)/);
    refused([], { SACCADE_EDGE_FRAMES_MB: '3' }, /SACCADE_EDGE_FRAMES_MB \(3\)/);
    assert.equal(edgeConfigOf(read([], { SACCADE_CLAIM_CHECK_BYTES: '2000', SACCADE_MAX_IMAGE_BYTES: '4000' }).settings).stream.frameBytes, 4000, 'a smaller picture is a smaller frame');
  });

  test('a password is never shown', () => {
    assert.doesNotMatch(helpText(), /secret/);
    const { settings: s } = read([], { CLICKHOUSE_PASSWORD: 'secret' });
    assert.equal(s.CLICKHOUSE_PASSWORD, 'secret');
  });

  test('a login in a URL is refused in favour of its own settings', () => {
    refused([], { CLICKHOUSE_URL: 'https://admin:secret@store:8443' }, /'https:\/\/…@store:8443'/, /CLICKHOUSE_USER and CLICKHOUSE_PASSWORD/, /^(?!.*secret)/);
    refused([], { CLICKHOUSE_URL: 'https://store:8443/?user=admin&password=secret' }, /CLICKHOUSE_USER and CLICKHOUSE_PASSWORD/, /^(?!.*secret)/);
    refused([], { SCHEMA_REGISTRY_URL: 'http://secret@registry' }, /SCHEMA_REGISTRY_USERNAME and SCHEMA_REGISTRY_PASSWORD/, /^(?!.*secret)/);
    assert.equal(read([], { CLICKHOUSE_URL: 'https://store:8443/a@b' }).settings.CLICKHOUSE_URL, 'https://store:8443/a@b');
  });

  test('no refusal shows the login of a URL, well-formed or not', () => {
    for (const value of ['ftp://admin:secret@store', 'http://admin:sec/ret@store 1', 'admin:secret@store:9000', 'admin:se/cret@store', 'http:admin:secret@store', 'http//admin:secret@store']) {
      refused([], { CLICKHOUSE_URL: value }, /CLICKHOUSE_URL is '/, /^(?!.*(cret|sec\/|admin))/);
    }
    refused([], { KAFKA_BROKERS: 'kafka:9092,admin:secret@kafka' }, /KAFKA_BROKERS/, /^(?!.*secret)/);
    refused(['rtsp://admin:secret@camera/1'], {}, /camera\/1/, /^(?!.*secret)/);
    for (const source of ['rtsp://admin:secret@', 'rtsp://admin:s@cret@:99999/', 'front=http://admin:s@cret@camera', 'http://admin:secret@camera/', 'rtsp//admin:secret@camera']) {
      assert.throws(() => parseSource(source), (error: Error) => /^(?!.*(cret|admin))/s.test(error.message) && /--source/.test(error.message), source);
    }
  });

  test("the edge's limits are those that are set, and what is not set is as its own configuration has it", () => {
    const of = (env: Record<string, string>) => edgeConfigOf(read([], env).settings);
    assert.deepEqual(of({}), edgeConfig.parse({}));
    const set = of({ SACCADE_EDGE_WAITING: '1', SACCADE_EDGE_AWAITED: '2', SACCADE_EDGE_UPLOAD_MB: '3', SACCADE_EDGE_BATCH_MB: '4', SACCADE_EDGE_SOCKETS: '5', SACCADE_EDGE_SOCKETS_EACH: '4', SACCADE_EDGE_FRAME_KB: '6', SACCADE_EDGE_FRAMES_MB: '7' });
    assert.deepEqual([set.maxWaiting, set.maxAwaited, set.maxUploadBytes, set.maxBatchBytes, set.stream.maxSockets, set.stream.maxSocketsEach, set.stream.frameBytes, set.stream.totalBytes], [1, 2, 3 * 1_048_576, 4 * 1_048_576, 5, 4, 6 * 1024, 7 * 1_048_576]);
  });

  test('--help and .env.example name every setting', () => {
    const example = readFileSync('.env.example', 'utf8');
    for (const name of Object.keys(settings)) {
      assert.ok(helpText().includes(name), `--help lacks ${name}`);
      assert.match(example, new RegExp(`^#? ?${name}=`, 'm'), `.env.example lacks ${name}`);
    }
  });

  test('.env.example is itself a valid configuration', () => {
    const uncommented = readFileSync('.env.example', 'utf8');
    assert.doesNotThrow(() => readConfig([], Object.fromEntries([...uncommented.matchAll(/^(\w+)=(.*)$/gm)].map((m) => [m[1], m[2]])), '/nonexistent'));
  });
});
