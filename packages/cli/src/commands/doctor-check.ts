/** What `longshore doctor` says of one thing. */
export interface Check {
  readonly name: string;
  readonly status: "ok" | "missing" | "failed";
  readonly found: string;
  /** What to do about it */
  readonly fix?: string;
}
