/** Configuration, assembled once: command line over environment over .env over defaults; cross-checked and frozen. */
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs, parseEnv } from 'node:util';
import { SaccadeError, withoutCredentials } from '../connectors/errors.ts';
import { isThisMachine } from '../schemas/this-machine.ts';
import { type SettingName, type Settings, settingsTable } from './settings.ts';

export interface Config {
  readonly settings: Settings;
  /** Settings that were given, not defaulted: `--stages` chosen on purpose means something else than all by default. */
  readonly given: ReadonlySet<SettingName>;
  /** Those given by flag: meant for this one process, where the environment and .env are often shared by several. */
  readonly byFlag: ReadonlySet<SettingName>;
  readonly help: boolean;
}

const names = Object.keys(settingsTable) as SettingName[];

const refuse = (detail: string): never => {
  throw new SaccadeError('invalid_config', detail);
};

/** Not settings: what bootstrap.mjs tells the process it starts, and what the test runner tells its tests. */
const isInternal = (name: string): boolean => name === 'SACCADE_TIED' || name.startsWith('SACCADE_TEST_');

/** Names that look like ours and are not: a typing error must not be taken for a default. */
function refuseUnknown(env: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(env)) {
    if (!name.startsWith('SACCADE_') || isInternal(name) || names.includes(name as SettingName)) continue;
    refuse(`${name} is not a setting. The settings are listed by npm start -- --help.`);
  }
}

function flagsOf(argv: readonly string[]): { flags: Map<SettingName, string>; help: boolean } {
  const options: Record<string, { type: 'string' | 'boolean'; multiple?: boolean; short?: string }> = { help: { type: 'boolean', short: 'h' } };
  for (const name of names) {
    const { flag } = settingsTable[name];
    if (flag) options[flag] = { type: 'string', multiple: true };
  }
  let values: Record<string, unknown>;
  try {
    values = parseArgs({ args: [...argv], options, allowPositionals: false }).values;
  } catch (error) {
    return refuse(`${withoutCredentials(error instanceof Error ? error.message.split('\n')[0]! : String(error))} See npm start -- --help.`);
  }
  const flags = new Map<SettingName, string>();
  for (const name of names) {
    const { flag, repeatable } = settingsTable[name];
    const given = flag ? (values[flag] as string[] | undefined) : undefined;
    if (!given) continue;
    if (given.length > 1 && !repeatable) refuse(`--${flag} is given more than once.`);
    // One a line: a path or a glob may hold a comma.
    flags.set(name, repeatable ? `${given.join('\n')}\n` : given[0]!);
  }
  return { flags, help: values.help === true };
}

function crossCheck(s: Settings, given: ReadonlySet<SettingName>): void {
  const sasl = [s.KAFKA_SASL_MECHANISM, s.KAFKA_USERNAME, s.KAFKA_PASSWORD].filter((value) => value !== undefined).length;
  if (sasl !== 0 && sasl !== 3) refuse('KAFKA_SASL_MECHANISM, KAFKA_USERNAME and KAFKA_PASSWORD go together; only some are set.');
  if ((s.SCHEMA_REGISTRY_USERNAME === undefined) !== (s.SCHEMA_REGISTRY_PASSWORD === undefined)) {
    refuse('SCHEMA_REGISTRY_USERNAME and SCHEMA_REGISTRY_PASSWORD go together; only one is set.');
  }
  if (s.REDIS_USERNAME !== undefined && s.REDIS_PASSWORD === undefined) refuse('REDIS_USERNAME needs REDIS_PASSWORD.');
  if (s.REDIS_PASSWORD !== undefined && s.REDIS_URL === undefined) refuse('REDIS_PASSWORD is set, REDIS_URL is not.');
  if (s.CLICKHOUSE_SQL_USER !== undefined && s.CLICKHOUSE_URL === undefined) refuse('CLICKHOUSE_SQL_USER is set, CLICKHOUSE_URL is not.');
  if ((s.SACCADE_ALERT_WEBHOOK_URL === undefined) !== (s.SACCADE_ALERT_WEBHOOK_SECRET === undefined)) {
    refuse('SACCADE_ALERT_WEBHOOK_URL and SACCADE_ALERT_WEBHOOK_SECRET go together; only one is set.');
  }
  if (s.SACCADE_AUTH === 'open' && s.SACCADE_STAGES.includes('edge') && !isThisMachine(s.HOST)) {
    refuse(`HOST is '${s.HOST}', which others can reach, and SACCADE_AUTH is open: whoever reaches the edge would be its admin. Set SACCADE_AUTH=required, or HOST=127.0.0.1.`);
  }
  if ((s.SACCADE_TLS_CERT === undefined) !== (s.SACCADE_TLS_KEY === undefined)) refuse('SACCADE_TLS_CERT and SACCADE_TLS_KEY go together; only one is set.');
  if (s.SACCADE_SEALING_KEY !== undefined && s.SACCADE_SEALING_KEY_FILE !== undefined) refuse('SACCADE_SEALING_KEY and SACCADE_SEALING_KEY_FILE are both set; only one is read.');
  if (s.SACCADE_SECOND_FACTOR === 'required' && s.DATABASE_URL !== undefined && (s.SACCADE_SEALING_KEY ?? s.SACCADE_SEALING_KEY_FILE) === undefined) {
    refuse('SACCADE_SECOND_FACTOR is required and DATABASE_URL is set: set SACCADE_SEALING_KEY too, or nobody could enrol.');
  }
  if ((s.SACCADE_OIDC_ISSUER === undefined) !== (s.SACCADE_OIDC_AUDIENCE === undefined)) refuse('SACCADE_OIDC_ISSUER and SACCADE_OIDC_AUDIENCE go together; only one is set.');
  for (const name of ['SACCADE_OIDC_ISSUER', 'SACCADE_METRICS_TOKEN'] as const) {
    if (s[name] !== undefined && s.SACCADE_AUTH === 'open') refuse(`${name} is set, and SACCADE_AUTH is open: it would serve nothing. Set SACCADE_AUTH=required.`);
  }
  if (s.SACCADE_CLAIM_CHECK_BYTES > s.SACCADE_MAX_IMAGE_BYTES) {
    refuse(`SACCADE_CLAIM_CHECK_BYTES (${s.SACCADE_CLAIM_CHECK_BYTES}) is above SACCADE_MAX_IMAGE_BYTES (${s.SACCADE_MAX_IMAGE_BYTES}).`);
  }
  if (given.has('SACCADE_EDGE_FRAME_KB') && s.SACCADE_EDGE_FRAME_KB * 1024 > s.SACCADE_MAX_IMAGE_BYTES) {
    refuse(`SACCADE_EDGE_FRAME_KB (${s.SACCADE_EDGE_FRAME_KB}) is above SACCADE_MAX_IMAGE_BYTES (${s.SACCADE_MAX_IMAGE_BYTES}): larger frames would be taken in, and refused.`);
  }
  if (s.SACCADE_EDGE_FRAMES_MB * 1024 * 1024 < Math.min(s.SACCADE_EDGE_FRAME_KB * 1024, s.SACCADE_MAX_IMAGE_BYTES)) {
    refuse(`SACCADE_EDGE_FRAMES_MB (${s.SACCADE_EDGE_FRAMES_MB}) is less than one frame of SACCADE_EDGE_FRAME_KB (${s.SACCADE_EDGE_FRAME_KB}).`);
  }
  if (s.SACCADE_TENANT_TOPICS.size > 0 && s.SACCADE_FUSE?.some(([first]) => first === 'ingest')) refuse('SACCADE_FUSE joins ingest+preprocess, which reads one topic; SACCADE_TENANT_TOPICS gives several.');
  for (const pair of s.SACCADE_FUSE ?? []) {
    for (const stage of pair) if (!s.SACCADE_STAGES.includes(stage as never)) refuse(`SACCADE_FUSE joins ${pair.join('+')}, but ${stage} is not among SACCADE_STAGES.`);
  }
  if (new Set(s.SACCADE_MODELS.map((model) => model.split('@')[0])).size !== s.SACCADE_MODELS.length) {
    refuse('SACCADE_MODELS names a model twice; one version of a model is served at a time.');
  }
}

/** Where one process does both, writing tensors to the log and reading them back gives nothing but work. */
const fusedUnlessTold = ({ SACCADE_STAGES: stages }: Settings): [string, string][] => (stages.includes('preprocess') && stages.includes('infer') ? [['preprocess', 'infer']] : []);

/** Throws invalid_config naming the setting, its value and what is allowed. */
export function readConfig(argv: readonly string[], env: NodeJS.ProcessEnv, envFile = '.env'): Config {
  const fromFile = existsSync(envFile) ? parseEnv(readFileSync(envFile, 'utf8')) : {};
  const merged: NodeJS.ProcessEnv = { ...fromFile, ...env };
  refuseUnknown(merged);
  const { flags, help } = flagsOf(argv);
  const given = new Set<SettingName>();
  const settings: Record<string, unknown> = {};
  for (const name of names) {
    const { check, default: fallback, flag } = settingsTable[name];
    // An empty variable is an unset one, as in every .env file with a blank line to fill in.
    const raw = flags.get(name) ?? (merged[name] === '' ? undefined : merged[name]);
    if (raw !== undefined) given.add(name);
    const value = raw ?? fallback;
    if (value === undefined) continue;
    const result = check.safeParse(value);
    if (!result.success) {
      const secret = /(PASSWORD|SECRET|SEALING_KEY|TOKEN|DATABASE_URL)$/.test(name);
      refuse(`${flags.has(name) ? `--${flag}` : name} is '${secret ? '…' : withoutCredentials(value.trim())}': ${result.error.issues.map((issue) => issue.message).join('; ')}.`);
    }
    settings[name] = result.data;
  }
  settings.SACCADE_FUSE ??= fusedUnlessTold(settings as unknown as Settings);
  crossCheck(settings as unknown as Settings, given);
  return Object.freeze({ settings: Object.freeze(settings) as unknown as Settings, given, byFlag: new Set(flags.keys()), help });
}

export function helpText(): string {
  const rows = names.map((name) => {
    const { flag, help, default: fallback } = settingsTable[name];
    const left = flag ? `--${flag} … / ${name}` : name;
    return `  ${left.padEnd(34)} ${help}${fallback ? ` [${fallback}]` : ''}`;
  });
  return `Saccade: frames in, predictions out, through Kafka into ClickHouse.

  npm start                               everything, on this machine, with a demo camera
  npm start -- --source street.mp4        a video as the camera (repeatable)
  npm start -- --stages preprocess,infer  two stages more beside a running pipeline
  npm run sql -- "select …"               SQL over what has been seen
  npm test                                everything is tested on real components

Settings: flags, environment, or a file .env (see .env.example).

${rows.join('\n')}
  OTEL_EXPORTER_OTLP_ENDPOINT        Where spans are exported to; unset: nowhere.
`;
}
