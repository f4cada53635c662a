/** OpenTelemetry export, when OTEL_EXPORTER_OTLP_ENDPOINT is set. The SDK reads its other settings from OTEL_* itself. */

export interface SpanExport {
  stop(): Promise<void>;
}

export async function startSpanExport(env: NodeJS.ProcessEnv): Promise<SpanExport | null> {
  if (!env.OTEL_EXPORTER_OTLP_ENDPOINT && !env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) return null;
  // Loaded only when wanted: the SDK is a third of a second of start-up.
  const { NodeSDK } = await import('@opentelemetry/sdk-node');
  env.OTEL_SERVICE_NAME ??= 'saccade';
  env.OTEL_EXPORTER_OTLP_PROTOCOL ??= 'http/protobuf';
  env.OTEL_METRICS_EXPORTER ??= 'none';
  env.OTEL_LOGS_EXPORTER ??= 'none';
  const sdk = new NodeSDK();
  sdk.start();
  return { stop: () => sdk.shutdown() };
}
