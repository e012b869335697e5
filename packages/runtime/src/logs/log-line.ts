import type { Nanoseconds } from "@longshore/core";

/** One entry of a container's log. */
export interface LogEntry {
  readonly timestamp: Nanoseconds;
  readonly stream: "stdout" | "stderr";
  /** Without a line break */
  readonly content: Uint8Array;
  /** Whether more of the same line follows in the stream's next entry */
  readonly isPartial: boolean;
}

/** `2026-11-21T03:23:31.123456789Z`, `+01:00` or no fraction; then stream and tags, of which the first says F or P */
const headPattern =
  /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) (stdout|stderr) ([FP])(?::[^ ]*)?(?: |$)/;
/** Longer than any head; tags are not used for much */
const maxHeadBytes = 256;

/** An entry in the CRI's log format; `undefined` for a line that is none, as a crash may leave. */
export function parseLogLine(line: Uint8Array): LogEntry | undefined {
  const head = Buffer.from(line.buffer, line.byteOffset, Math.min(line.length, maxHeadBytes));
  const match = headPattern.exec(head.toString("latin1"));
  if (match === null) return undefined;
  const [text, seconds = "", fraction = "", zone = "Z", stream, tag] = match;
  const ms = Date.parse(`${seconds}${zone}`);
  if (Number.isNaN(ms)) return undefined;
  return {
    timestamp: BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, "0")),
    stream: stream === "stderr" ? "stderr" : "stdout",
    content: line.subarray(text.length),
    isPartial: tag === "P",
  };
}

/** RFC 3339 in UTC with nine digits of a second. */
export function formatLogTime(timestamp: Nanoseconds): string {
  const seconds = timestamp / 1_000_000_000n;
  const fraction = String(timestamp % 1_000_000_000n).padStart(9, "0");
  return `${new Date(Number(seconds) * 1_000).toISOString().slice(0, 19)}.${fraction}Z`;
}

/** The entry as a line of the log, with its break. */
export function formatLogLine({ timestamp, stream, content, isPartial }: LogEntry): Buffer {
  const head = `${formatLogTime(timestamp)} ${stream} ${isPartial ? "P" : "F"} `;
  return Buffer.concat([Buffer.from(head), content, newline]);
}

const newline = Buffer.from("\n");
