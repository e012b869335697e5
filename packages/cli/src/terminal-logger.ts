import type { Logger, LogMethod } from "@longshore/core";
import pc from "picocolors";
import { pino } from "pino";

const levels = ["trace", "debug", "info", "warn", "error"] as const;
type Level = (typeof levels)[number];
const labels: Readonly<Record<Level, string>> = {
  trace: pc.dim("TRACE"),
  debug: pc.dim("DEBUG"),
  info: pc.green("INFO "),
  warn: pc.yellow("WARN "),
  error: pc.red("ERROR"),
};

/** The worker's log: JSON lines for machines, short lines with the job's phase for people. Both to standard error. */
export function openLogger(options: { readonly isJson: boolean; readonly level: string }): Logger {
  if (options.isJson)
    return pino({ level: options.level }, pino.destination({ fd: 2, sync: true }));
  const threshold = levels.findIndex((level) => level === options.level);
  return textLogger(threshold === -1 ? levels.indexOf("info") : threshold, {});
}

function textLogger(threshold: number, bound: Readonly<Record<string, unknown>>): Logger {
  const method = (level: Level): LogMethod => {
    if (levels.indexOf(level) < threshold) return () => {};
    return (fields: object | string, message?: string) => {
      const isText = typeof fields === "string";
      writeLine(level, isText ? fields : (message ?? ""), { ...bound, ...(isText ? {} : fields) });
    };
  };
  return {
    trace: method("trace"),
    debug: method("debug"),
    info: method("info"),
    warn: method("warn"),
    error: method("error"),
    child: (fields) => textLogger(threshold, { ...bound, ...fields }),
  };
}

/** `12:00:01 INFO  [job-1] disk_inspection - reading partitions (40%)` */
function writeLine(level: Level, message: string, fields: Readonly<Record<string, unknown>>): void {
  const { jobId, kind, phase, progressPercent, text, attempt: _attempt, ...rest } = fields;
  const time = pc.dim(new Date().toTimeString().slice(0, 8));
  const job = typeof jobId === "string" ? `[${jobId}] ` : "";
  const isPhase = kind === "progress" || kind === "log";
  const percent = typeof progressPercent === "number" ? ` (${Math.round(progressPercent)}%)` : "";
  const what = isPhase ? `${String(phase)} - ${String(text)}${percent}` : message;
  const details = Object.entries(rest)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => pc.dim(`${key}=${format(value)}`))
    .join(" ");
  process.stderr.write(`${time} ${labels[level]} ${job}${what}${details && ` ${details}`}\n`);
}

function format(value: unknown): string {
  if (value instanceof Error) return value.message;
  return typeof value === "string" ? value : JSON.stringify(value);
}
