/**
 * W3C trace context through the headers of the topics. A record always carries a traceparent, exporter or not, so that
 * logs and rows of one frame can be joined; spans exist when an OpenTelemetry SDK is registered.
 */
import { type Context, type Link, ROOT_CONTEXT, type Span, type SpanContext, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { formatTraceparent, parseTraceparent } from '../../schemas/trace-context.ts';

export const traceIdOf = (traceparent: string): string => traceparent.slice(3, 35);

export interface RecordSpan {
  /** What the record's outputs carry on. */
  readonly traceparent: string;
  readonly context: SpanContext | null;
  end(outcome: string, error?: Error): void;
}

const tracer = trace.getTracer('saccade');

/** A span of one record in one stage, child of the span that produced the record. */
export function startRecordSpan(stage: string, traceparent: string, startTime: number, attributes: Record<string, string | number>): RecordSpan {
  const remote = parseTraceparent(traceparent);
  const parent: Context = remote ? trace.setSpanContext(ROOT_CONTEXT, { ...remote, isRemote: true }) : ROOT_CONTEXT;
  const span: Span = tracer.startSpan(`${stage} process`, { kind: SpanKind.CONSUMER, startTime, attributes }, parent);
  const own = span.spanContext();
  // Without an SDK the span is a shadow of its parent: pass the parent on.
  return {
    traceparent: span.isRecording() ? formatTraceparent(own) : traceparent,
    context: span.isRecording() ? own : null,
    end(outcome, error) {
      span.setAttribute('saccade.outcome', outcome);
      if (error) {
        span.recordException(error);
        span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
      }
      span.end();
    },
  };
}

/** A batch belongs to many traces, so it is a trace of its own that links to its records' spans. */
export function startBatchSpan(stage: string, records: readonly RecordSpan[]): { end(): void } {
  const links: Link[] = records.flatMap(({ context }) => (context ? [{ context }] : []));
  if (records.length < 2 || links.length === 0) return { end() {} };
  const span = tracer.startSpan(`${stage} batch`, { links, attributes: { 'saccade.batch.records': records.length } }, ROOT_CONTEXT);
  return { end: () => span.end() };
}
