/** The topic `models`, read: what is asked for of each model, and what each process says of those it serves. */
import { withoutCredentials } from '../connectors/errors.ts';
import type { Clock, Log, LogProducer } from '../connectors/ports.ts';
import { asItIs, controlBytes, encodeControl, modelControlSchema, type ModelControl } from '../schemas/model-control.ts';
import { isReportKey, type ModelReport, readerOfReport, readReport, reportKey } from '../schemas/model-report.ts';
import { modelsTopic } from '../schemas/topics.ts';
import { type ControlTable, followTable } from './runtime/control-table.ts';

export interface ModelsTopicOptions {
  readonly log: Log;
  readonly producer: LogProducer;
  readonly clock: Clock;
  readonly say: (message: string) => void;
  /** Told what was written for a model; nonsense is left out. */
  readonly changed: (name: string, control: ModelControl) => void;
  /** Told that the report of a reader has been taken back, by whomever. */
  readonly forgotten?: (reader: string) => void;
  /** Names this process among those that follow the topic; a random name unless given. */
  readonly reader?: string;
}

export interface ModelsTopic {
  /** How this model is to be served, as what made sense last says; `asItIs` where nothing that does is written. */
  control(name: string): ModelControl;
  /** Models for which something is written, in the order in which it was written last. */
  names(): readonly string[];
  /** Null removes what is written. */
  write(name: string, control: ModelControl | null): Promise<void>;
  /** What processes have said, by reader; of one that has died it stays. */
  reports(): ReadonlyMap<string, ModelReport | null>;
  /** Null takes it back. */
  report(reader: string, report: ModelReport | null): Promise<void>;
  /** Resolves once all that was acknowledged before the call has been read, and told. Throws log_unavailable. */
  caughtUp(): Promise<void>;
  close(): Promise<void>;
}

/** Resolves when all that is written has been read. Throws log_unavailable. */
export async function followModelsTopic({ changed, forgotten, say, ...at }: ModelsTopicOptions): Promise<ModelsTopic> {
  function read(name: string, value: Buffer | null): ModelControl | null {
    if (value === null) return asItIs;
    if (value.length > controlBytes) {
      say(`the topic ${modelsTopic} holds ${value.length} bytes for ${name}, above ${controlBytes}, which changes nothing`);
      return null;
    }
    try {
      return modelControlSchema.parse(JSON.parse(value.toString()));
    } catch (error) {
      // Nobody is there to be answered; what runs goes on.
      say(`the topic ${modelsTopic} holds nonsense for ${name}, which changes nothing: ${withoutCredentials((error as Error).message)}`);
      return null;
    }
  }
  /** What made sense last. */
  const controls = new Map<string, ModelControl>();
  const table: ControlTable = await followTable({
    ...at,
    topic: modelsTopic,
    changed(name, value) {
      if (isReportKey(name)) {
        if (value === null) forgotten?.(readerOfReport(name));
        return;
      }
      const control = read(name, value);
      if (!control) return;
      controls.set(name, control);
      changed(name, control);
    },
  });
  return {
    control: (name) => controls.get(name) ?? asItIs,
    names: () => [...table.entries().keys()].filter((name) => !isReportKey(name)),
    write: (name, control) => table.put(name, control && encodeControl(control)),
    reports: () => new Map([...table.entries()].filter(([key]) => isReportKey(key)).map(([key, value]) => [readerOfReport(key), readReport(value)])),
    report: (reader, report) => table.put(reportKey(reader), report && Buffer.from(JSON.stringify(report))),
    caughtUp: () => table.caughtUp(),
    close: () => table.close(),
  };
}
