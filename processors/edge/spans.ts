/** The span a request begins with: the root of the frame's trace, or a child of the caller's. */
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { formatTraceparent, parseTraceparent, traceparentOr } from '../../schemas/trace-context.ts';

const tracer = trace.getTracer('saccade');

export interface RequestSpan {
  readonly traceparent: string;
  end(status: number, error?: unknown): void;
}

export function startRequestSpan(name: string, caller: string | undefined, startTime: number): RequestSpan {
  const given = parseTraceparent(caller);
  const parent = given ? trace.setSpanContext(ROOT_CONTEXT, { ...given, isRemote: true }) : ROOT_CONTEXT;
  const span = tracer.startSpan(name, { kind: SpanKind.SERVER, startTime }, parent);
  const traceparent = span.isRecording() ? formatTraceparent(span.spanContext()) : traceparentOr(caller);
  return {
    traceparent,
    end(status, error) {
      span.setAttribute('http.response.status_code', status);
      if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : '' });
      span.end();
    },
  };
}
