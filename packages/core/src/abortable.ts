/** Options of every call that can wait. */
export interface Abortable {
  /** Ends the wait; the call rejects with `signal.reason` untouched */
  readonly signal?: AbortSignal | undefined;
}
