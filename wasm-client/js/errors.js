// Errors: what went wrong for programs, and whether doing the same again can help.

const LATER = new Set(["network", "outbox_full", "rate_limited", "overloaded", "internal", "unavailable", "outcome_unknown", "shutting_down"]);
const AFTER_FIX = new Set(["unauthenticated", "token_expired", "wrong_credentials", "cursor_ahead", "logged_out"]);
const AUTH = new Set(["unauthenticated", "token_expired", "wrong_credentials", "logged_out"]);
const OWN = new Set(["crashed", "closed", "unsupported"]);

export class SudaError extends Error {
  constructor(code, message, { retry, retryAfterMs = null, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.retry = retry ?? (LATER.has(code) ? "later" : AFTER_FIX.has(code) ? "after-fix" : "never");
    this.retryAfterMs = retryAfterMs;
  }
  get retryable() {
    return this.retry === "later";
  }
}
export class NetworkError extends SudaError {}
export class ServerError extends SudaError {}
export class AuthError extends SudaError {}
export class ClientError extends SudaError {}

/** From what crosses between tabs, the wire and the core: `{code, message, retry, retry_after_ms}`. */
export function errorFrom({ code = "network", message = "", retry, retry_after_ms: retryAfterMs = null }) {
  const kind = code === "network" ? NetworkError : AUTH.has(code) ? AuthError : OWN.has(code) ? ClientError : ServerError;
  return new kind(code, message, { retry, retryAfterMs });
}

/** The other way. */
export function plainError(error) {
  if (error instanceof SudaError) {
    return { code: error.code, message: error.message, retry: error.retry, retry_after_ms: error.retryAfterMs };
  }
  return { code: "crashed", message: String(error?.message ?? error), retry: "never", retry_after_ms: null };
}
