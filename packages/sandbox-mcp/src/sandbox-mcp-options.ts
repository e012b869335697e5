import type { Policy } from "@longshore/core";

/** Who may use the tools, and how much. */
export interface SandboxMcpOptions {
  /**
   * Asked before every call: `execute` on `tool:bash`, `tool:read_file` (for `list_files` too) or `tool:write_file`. What it
   * does not allow comes back as a tool's error.
   */
  readonly policy: Policy;
  /** Who calls, e.g. `"service:agent"` */
  readonly subject: string;
  /** @default "*" */
  readonly domain?: string | undefined;
  /** Time of a command that asks for none. @default 120_000 */
  readonly timeoutMs?: number | undefined;
  /** Most time that a call may ask for. @default 600_000 */
  readonly maxTimeoutMs?: number | undefined;
  /** Bytes shown of each output of a command, and of a file at a time. @default 65_536 */
  readonly maxOutputBytes?: number | undefined;
  /** Bytes of a file that may be written. @default 4_194_304 */
  readonly maxWriteBytes?: number | undefined;
  /** Entries shown of a directory. @default 1_000 */
  readonly maxEntries?: number | undefined;
  /** Calls at one time; more are refused. @default 16 */
  readonly maxConcurrentCalls?: number | undefined;
}

export type ToolLimits = {
  readonly [Name in keyof Omit<SandboxMcpOptions, "policy" | "subject" | "domain">]-?: number;
};

/** @throws {RangeError} for a limit that is not above 0 */
export function toolLimits(options: SandboxMcpOptions): ToolLimits {
  const limits: ToolLimits = {
    timeoutMs: options.timeoutMs ?? 120_000,
    maxTimeoutMs: options.maxTimeoutMs ?? 600_000,
    maxOutputBytes: options.maxOutputBytes ?? 65_536,
    maxWriteBytes: options.maxWriteBytes ?? 4_194_304,
    maxEntries: options.maxEntries ?? 1_000,
    maxConcurrentCalls: options.maxConcurrentCalls ?? 16,
  };
  for (const [name, value] of Object.entries(limits)) {
    if (!(value > 0)) throw new RangeError(`${name} must be above 0, got ${value}`);
  }
  return limits;
}
