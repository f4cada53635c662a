/** Windows of drift and alerts as rows of their tables (schemas/clickhouse). */
import type { Column } from '../../connectors/ports.ts';
import type { Alert, DriftFeature, DriftWindow } from '../../schemas/records.ts';

const time = "DateTime64(3, 'UTC')";
const word = 'LowCardinality(String)';
const textOrNull = 'Nullable(String)';
const feature = (name: keyof DriftFeature & string, type: string): Column<DriftWindow> =>
  ({ name: `features.${name}`, type: `Array(${type})`, of: ({ features }) => features.map((each) => each[name]) });

export const windowsTable = 'drift_windows_raw';
export const windowColumns: readonly Column<DriftWindow>[] = [
  { name: 'id', type: 'UUID', of: ({ id }) => id },
  { name: 'tenant', type: word, of: ({ tenant }) => tenant },
  { name: 'source', type: word, of: ({ source }) => source },
  { name: 'model', type: word, of: ({ model }) => model },
  { name: 'version', type: word, of: ({ version }) => version ?? '' },
  { name: 'span', type: word, of: ({ span }) => span },
  { name: 'start', type: time, of: ({ start }) => start },
  { name: 'end', type: time, of: ({ end }) => end },
  { name: 'closed_at', type: time, of: ({ closed_at }) => closed_at },
  { name: 'frames', type: 'Int64', of: ({ frames }) => frames },
  { name: 'late', type: 'Int64', of: ({ late }) => late },
  { name: 'verdict', type: word, of: ({ verdict }) => verdict },
  { name: 'reference', type: textOrNull, of: ({ reference }) => reference },
  { name: 'sentence', type: textOrNull, of: ({ sentence }) => sentence },
  feature('name', word),
  feature('group', word),
  feature('statistic', word),
  feature('value', 'Float64'),
  feature('p', 'Nullable(Float64)'),
  feature('q', 'Nullable(Float64)'),
  feature('moved', 'Bool'),
  feature('mean', 'Nullable(Float64)'),
  feature('reference_mean', 'Nullable(Float64)'),
  { name: 'charts', type: 'String', of: ({ features }) => JSON.stringify(Object.fromEntries(features.map(({ name, edges, labels, now, reference }) => [name, { edges, labels, now, reference }]))) },
  { name: 'accuracy', type: 'Nullable(Float64)', of: ({ performance }) => performance && performance.accuracy },
  { name: 'accuracy_low', type: 'Nullable(Float64)', of: ({ performance }) => performance && performance.low },
  { name: 'accuracy_high', type: 'Nullable(Float64)', of: ({ performance }) => performance && performance.high },
  { name: 'accuracy_normal', type: 'Nullable(Float64)', of: ({ performance }) => performance && performance.normal },
  { name: 'examples', type: 'Array(UUID)', of: ({ examples }) => examples },
  { name: 'blocks', type: 'String', of: ({ blocks }) => blocks?.toString('base64') ?? '' },
];

export const alertsTable = 'alerts_raw';
export const alertColumns: readonly Column<Alert>[] = [
  { name: 'id', type: 'UUID', of: ({ id }) => id },
  { name: 'tenant', type: word, of: ({ tenant }) => tenant },
  { name: 'source', type: word, of: ({ source }) => source },
  { name: 'kind', type: word, of: ({ kind }) => kind },
  { name: 'status', type: word, of: ({ status }) => status },
  { name: 'started_at', type: time, of: (alert) => alert.started_at },
  { name: 'changed_at', type: time, of: (alert) => alert.changed_at },
  { name: 'resolved_at', type: `Nullable(${time})`, of: (alert) => alert.resolved_at },
  { name: 'models', type: `Array(${word})`, of: ({ models }) => models },
  { name: 'features', type: `Array(${word})`, of: ({ features }) => features },
  { name: 'sentence', type: 'String', of: ({ sentence }) => sentence },
  { name: 'windows', type: 'Array(UUID)', of: ({ windows }) => windows },
  { name: 'examples', type: 'Array(UUID)', of: ({ examples }) => examples },
];
