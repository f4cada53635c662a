/**
 * Every error Saccade can name, in one table: what a program reads (code, HTTP status, retryable) and what a person reads.
 *
 * `retryable` means a fault of the environment: the same input may succeed later, so the runtime retries it with backoff
 * and never dead-letters it. Anything else is a fault of the record itself.
 *
 * `blame: 'sender'` means that whoever sent the picture is at fault and never the stage that refuses it, however many there
 * are: without it, one client's torn pictures would look like a stage gone wrong and halt it for everybody.
 */
const table = {
  // the record
  payload_empty: { status: 422, retryable: false, blame: 'sender', sentence: 'The record has no payload.' },
  payload_too_large: { status: 413, retryable: false, blame: 'sender', sentence: 'The image is larger than the limit.' },
  unsupported_media_type: { status: 415, retryable: false, blame: 'sender', sentence: 'The bytes are not a JPEG, PNG or WebP image.' },
  undecodable_record: { status: 422, retryable: false, sentence: 'The record could not be decoded with its schema.' },
  undecodable_image: { status: 422, retryable: false, blame: 'sender', sentence: 'The image could not be decoded.' },
  too_many_pixels: { status: 413, retryable: false, blame: 'sender', sentence: 'The image has more pixels than the limit.' },
  invalid_field: { status: 422, retryable: false, sentence: 'A field or header of the record is invalid.' },
  unknown_model: { status: 422, retryable: false, blame: 'sender', sentence: 'No such model is served.' },
  model_unloading: { status: 409, retryable: false, blame: 'sender', sentence: 'The model is being unloaded.' },
  deadline_exceeded: { status: 504, retryable: false, sentence: 'The deadline passed before the answer was ready.' },
  blob_missing: { status: 422, retryable: true, sentence: 'The payload named by the claim check is not in the blob store.' },
  rejected_by_store: { status: 500, retryable: false, sentence: 'The store refused the row.' },
  inference_failed: { status: 500, retryable: false, sentence: 'The model could not be run on this input.' },
  kills_process: { status: 500, retryable: false, sentence: 'The record ends the process that works on it.' },
  internal: { status: 500, retryable: false, sentence: 'A stage failed unexpectedly.' },
  // the request
  bad_request: { status: 400, retryable: false, sentence: 'The request is malformed.' },
  unauthenticated: { status: 401, retryable: false, sentence: 'Who asks is not known.' },
  forbidden: { status: 403, retryable: false, sentence: 'This is not allowed to you.' },
  second_factor_needed: { status: 403, retryable: false, sentence: 'This needs the code of a second factor.' },
  rate_limited: { status: 429, retryable: true, sentence: 'Too many requests.' },
  idempotency_key_reused: { status: 422, retryable: false, sentence: 'This Idempotency-Key was used for another request.' },
  already_exists: { status: 409, retryable: false, sentence: 'It exists already.' },
  not_found: { status: 404, retryable: false, sentence: 'There is nothing at this address.' },
  method_not_allowed: { status: 405, retryable: false, sentence: 'This address takes other methods.' },
  upgrade_required: { status: 426, retryable: false, sentence: 'This address is a WebSocket.' },
  // the environment
  log_unavailable: { status: 503, retryable: true, sentence: 'The log (Kafka) cannot be reached.' },
  registry_unavailable: { status: 503, retryable: true, sentence: 'The schema registry cannot be reached.' },
  store_unavailable: { status: 503, retryable: true, sentence: 'The store (ClickHouse) cannot be reached.' },
  blobs_unavailable: { status: 503, retryable: true, sentence: 'The blob store cannot be reached.' },
  cache_unavailable: { status: 503, retryable: true, sentence: 'The cache (Redis) cannot be reached.' },
  webhook_unavailable: { status: 503, retryable: true, sentence: 'The webhook for alerts cannot be reached.' },
  webhook_refused: { status: 502, retryable: false, sentence: 'The webhook for alerts does not take the alert.' },
  metadata_unavailable: { status: 503, retryable: true, sentence: 'The metadata (PostgreSQL) cannot be reached.' },
  issuer_unavailable: { status: 503, retryable: true, sentence: 'The issuer of tokens cannot be asked for its keys.' },
  engine_unavailable: { status: 503, retryable: true, sentence: 'The inference engine is not available.' },
  masking_unavailable: { status: 503, retryable: true, sentence: 'Faces cannot be covered at present, so the picture is not shown.' },
  server_unavailable: { status: 503, retryable: true, sentence: 'A local server could not be started.' },
  overloaded: { status: 503, retryable: true, sentence: 'The pipeline is behind; try again later.' },
  not_ready: { status: 503, retryable: true, sentence: 'The service is not ready yet.' },
  // the set-up
  invalid_config: { status: 500, retryable: false, sentence: 'The configuration is invalid.' },
  secrets_unavailable: { status: 500, retryable: false, sentence: 'A secret cannot be kept or opened: its key is missing, or another one.' },
  invalid_model: { status: 500, retryable: false, sentence: 'The model folder or its card is invalid.' },
  incompatible_schema: { status: 500, retryable: false, sentence: 'The schema is not compatible with the registered one.' },
  forbidden_sql: { status: 403, retryable: false, sentence: 'The query asks for what is not allowed.' },
  query_failed: { status: 400, retryable: false, sentence: 'The store refused the query.' },
} as const satisfies Record<string, Row>;

interface Row {
  readonly status: number;
  readonly retryable: boolean;
  readonly blame?: 'sender';
  readonly sentence: string;
}

export type ErrorCode = keyof typeof table;

/** An error with a code of the table; `detail` says what was wrong this time and is safe to show to the sender. */
export class SaccadeError extends Error {
  readonly code: ErrorCode;
  readonly detail: string;

  constructor(code: ErrorCode, detail = '', cause?: unknown) {
    super(detail === '' ? table[code].sentence : `${table[code].sentence} ${detail}`, { cause });
    this.name = 'SaccadeError';
    this.code = code;
    this.detail = detail;
  }

  get status(): number {
    return table[this.code].status;
  }

  get retryable(): boolean {
    return table[this.code].retryable;
  }

  get sendersFault(): boolean {
    const row: Row = table[this.code];
    return row.blame === 'sender';
  }

  /** The sentence of the table, without the detail: the title of a problem+json body. */
  get title(): string {
    return table[this.code].sentence;
  }
}

/**
 * A setting's value as a refusal may show it: whatever could be a login is left out. Rather too much than too little,
 * because a value that is refused is often a malformed URL, where nobody can say where the password ends.
 */
export const withoutCredentials = (value: string): string =>
  value
    .replace(/\/\/[^\n]*@/g, '//…@')
    .replace(/[^\n/]*:[^\n…]*@/g, '…@')
    .replace(/([?&](?:password|user|token)=)[^&\s]*/gi, '$1…');

/** Any thrown value as a SaccadeError: one of ours unchanged, anything else under the code given. */
export function asSaccadeError(error: unknown, code: ErrorCode = 'internal'): SaccadeError {
  if (error instanceof SaccadeError) return error;
  return new SaccadeError(code, error instanceof Error ? error.message : String(error), error);
}

/** The error a code read back from a record header stands for; an unknown code (a newer version's) reads as internal. */
export function errorFromCode(code: string, detail = ''): SaccadeError {
  return new SaccadeError(code in table ? (code as ErrorCode) : 'internal', detail);
}
