/** An answer of the API server that is not the one that was hoped for. */
export class ApiError extends Error {
  readonly status: number;
  /** What the server asks to wait, in ms; 0 when it asks nothing. */
  readonly retryAfterMs: number;

  constructor(status: number, message: string, retryAfterMs = 0) {
    super(message);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Of the `Status` object that comes with an error, or of what came in its place. */
export function apiError(status: number, text: string, retryAfter?: string): ApiError {
  const seconds = Number(retryAfter ?? 0);
  const words = `${status} ${statusMessage(text)}`.trim();
  return new ApiError(status, words, Number.isFinite(seconds) ? seconds * 1000 : 0);
}

function statusMessage(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    if (typeof message === 'string') return message.slice(0, 300);
  } catch {
    // Not JSON: a proxy answered.
  }
  return text.slice(0, 100);
}
