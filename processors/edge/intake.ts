/** What the routes that take pictures share: whether one is let in, and how it is asked about. */
import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type ErrorCode, SaccadeError } from '../../connectors/errors.ts';
import type { Clock } from '../../connectors/ports.ts';
import { type AcceptRules, meantModel } from '../ingest/accept.ts';
import type { EdgeConfig } from './config.ts';
import type { Inquiries } from './inquiries.ts';
import { tooMany } from './pace.ts';
import type { EdgeMetrics } from './metrics.ts';
import { notReady, type ReplyDesk } from './reply-desk.ts';
import { type UploadGate, uploadGate } from './upload-gate.ts';

export interface Intake {
  readonly rules: AcceptRules;
  readonly clock: Clock;
  readonly config: EdgeConfig;
  readonly metrics: EdgeMetrics;
  readonly inquiries: Inquiries;
  /** Throws not_ready, overloaded when no picture is taken at present. */
  accepting(): void;
  /** Bounds what is in hand of bodies that may hold a picture and need not. */
  count(mostBytes: number): (request: FastifyRequest, reply: FastifyReply) => Promise<void>;
  /** Before the body of one picture is read: a refusal must not cost the memory it is there to spare. */
  admit(request: FastifyRequest, reply: FastifyReply): Promise<void>;
  /** The same for a body of several pictures. */
  admitMany(request: FastifyRequest, reply: FastifyReply): Promise<void>;
}

/** What a request with a picture may be refused with, for the document. */
export const pictureRefusals = [
  'payload_empty',
  'payload_too_large',
  'unsupported_media_type',
  'undecodable_image',
  'too_many_pixels',
  'unknown_model',
  'model_unloading',
  'idempotency_key_reused',
  'inference_failed',
  'overloaded',
  'not_ready',
  'log_unavailable',
  'deadline_exceeded',
] as const satisfies readonly ErrorCode[];

export interface IntakeOptions {
  readonly rules: AcceptRules;
  readonly clock: Clock;
  readonly config: EdgeConfig;
  readonly metrics: EdgeMetrics;
  readonly inquiries: Inquiries;
  readonly desk: ReplyDesk;
  /** Why nothing is accepted at present, or null. */
  refusal(): string | null;
  /** Told which model a request is for, now that it is known who asks. */
  meant(request: IncomingMessage, model: string): void;
}

export function openIntake({ desk, refusal, meant, ...shared }: IntakeOptions): Intake {
  const { rules, config, metrics, inquiries } = shared;
  const gate: UploadGate = uploadGate({ maxRequests: config.maxWaiting, maxBytes: config.maxUploadBytes });

  function accepting(): void {
    if (!desk.ready) throw notReady(desk.stopping);
    const why = refusal();
    if (why !== null) throw new SaccadeError('overloaded', why);
  }
  const count = (mostBytes: number) => async (request: FastifyRequest, reply: FastifyReply) => gate.enter(request, reply, mostBytes);
  /** As inquiries.ask would say, before the body has cost anything; what picture it is, and so whether the cache has its answer, nobody knows yet. */
  function behind({ query, params, raw, principal }: FastifyRequest): boolean {
    const { model, wait } = { ...(query as object), ...(params as object) } as { readonly model?: unknown; readonly wait?: unknown };
    const asked = meantModel(typeof model === 'string' ? model : undefined, rules);
    meant(raw, asked);
    return wait !== '0' && inquiries.turnsAway([asked], principal);
  }
  const admitUpTo = (mostBytes: number) => async (request: FastifyRequest, reply: FastifyReply) => {
    try {
      accepting();
      if (behind(request)) throw tooMany();
      gate.enter(request, reply, mostBytes);
    } catch (error) {
      metrics.refused((error as SaccadeError).code);
      throw error;
    }
  };
  return { ...shared, accepting, count, admit: admitUpTo(rules.maxImageBytes), admitMany: admitUpTo(Math.max(config.maxBatchBytes, rules.maxImageBytes)) };
}
