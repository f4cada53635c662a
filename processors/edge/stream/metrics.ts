import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** What became of frames before the log had them: offered = acknowledged + dropped + refused, once none is in hand. */
export interface StreamMetrics {
  offered(): void;
  acknowledged(): void;
  dropped(reason: string): void;
  refused(code: string): void;
  /** Sent a second time: counted here alone. */
  repeated(): void;
  answered(model: string, seconds: number): void;
  closed(code: number): void;
}

export interface StreamLevels {
  sockets(): number;
  sessions(): number;
  bytes(): number;
  frames(): number;
}

export function streamMetrics(registry: Registry, levels: StreamLevels): StreamMetrics {
  const frames = new Counter({
    name: 'saccade_stream_frames_total',
    help: 'Frames of /v1/stream before the log had them: offered, then acknowledged, dropped (reason) or refused (error code); repeated ones apart.',
    labelNames: ['outcome', 'reason'],
    registers: [registry],
  });
  const seconds = new Histogram({
    name: 'saccade_stream_answer_seconds',
    help: 'Seconds from the arrival of a frame at the edge to its answer, by model.',
    labelNames: ['model'],
    buckets: [0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers: [registry],
  });
  const closes = new Counter({ name: 'saccade_stream_closed_total', help: 'Sockets of /v1/stream that ended, by close code.', labelNames: ['code'], registers: [registry] });
  const gauges = {
    sockets: 'Sockets of /v1/stream that are open.',
    sessions: 'Sessions of /v1/stream, also those whose client may still come back.',
    bytes: 'Bytes of frames in hand: received, and not yet acknowledged by the log.',
    frames: 'Frames in hand: received, and not yet acknowledged by the log.',
  };
  for (const [name, help] of Object.entries(gauges)) {
    new Gauge({
      name: `saccade_stream_${name === 'sockets' || name === 'sessions' ? name : `in_hand_${name}`}`,
      help,
      registers: [registry],
      collect() {
        this.set(levels[name as keyof StreamLevels]());
      },
    });
  }
  return {
    offered: () => frames.inc({ outcome: 'offered', reason: '' }),
    acknowledged: () => frames.inc({ outcome: 'acknowledged', reason: '' }),
    dropped: (reason) => frames.inc({ outcome: 'dropped', reason }),
    refused: (reason) => frames.inc({ outcome: 'refused', reason }),
    repeated: () => frames.inc({ outcome: 'repeated', reason: '' }),
    answered: (model, value) => seconds.observe({ model }, value),
    closed: (code) => closes.inc({ code }),
  };
}
