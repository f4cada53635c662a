/** Errors as ClickHouse words them over HTTP: clients parse the text, and look at the status and one header. */

export class Exception extends Error {
  readonly code: number;
  readonly status: number;

  constructor(code: number, type: string, text: string, status = statusOf(code)) {
    super(`Code: ${code}. DB::Exception: ${text} (${type})`);
    this.code = code;
    this.status = status;
  }
}

/** What the engine threw, as an Exception. Its message already has ClickHouse's shape behind a prefix of the binding's. */
export function exceptionFrom(error: unknown): Exception {
  if (error instanceof Exception) return error;
  const text = (error instanceof Error ? error.message : String(error)).trim();
  const match = /Code: (\d+)\. DB::Exception: ([\s\S]*) \(([A-Z0-9_]+)\)[^()]*$/.exec(text);
  return match
    ? new Exception(Number(match[1]), match[3]!, match[2]!.replace(/^Code: \d+\. DB::Exception: /, ''))
    : new Exception(1002, 'UNKNOWN_EXCEPTION', text);
}

export const notImplemented = (text: string): Exception => new Exception(48, 'NOT_IMPLEMENTED', text);

/** As the server maps them: whose fault it is, where that is known. */
function statusOf(code: number): number {
  if (code === 48) return 501;
  if (code === 60 || code === 81 || code === 47 || code === 46 || code === 36 || code === 115) return 404;
  if (code === 164 || code === 497) return 403;
  if (code === 202) return 503;
  const parse = [26, 27, 38, 41, 43, 53, 62, 69, 70, 72, 117, 130, 349, 376, 456, 457];
  return parse.includes(code) ? 400 : 500;
}
