import { LongshoreError, type JobRuntime } from "@longshore/core";
import { parse } from "yaml";
import type { CapturedOutput } from "./bounded-output.ts";

/**
 * The result value in a process's standard output, by `runtime.output.format`; none for text.
 *
 * @throws {LongshoreError} `EXECUTION_ERROR` with phase `output`
 */
export function parseOutput(output: CapturedOutput, runtime: JobRuntime): unknown {
  const format = runtime.output?.format ?? "text";
  if (format === "text") return undefined;
  if (output.isTruncated) {
    throw outputError(
      `Standard output is incomplete (${output.truncatedBytes} bytes over the limit) and cannot be read as ${format}.`,
    );
  }
  try {
    switch (format) {
      case "json":
        return JSON.parse(output.text) as unknown;
      case "yaml":
        return parse(output.text, { maxAliasCount: 100 }) as unknown;
      case "jsonl":
        return output.text
          .split("\n")
          .filter((line) => line.trim() !== "")
          .map((line) => JSON.parse(line) as unknown);
      default:
        return format satisfies never;
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw outputError(`Standard output is not ${format}: ${reason}`, error);
  }
}

function outputError(message: string, cause?: unknown): LongshoreError {
  return new LongshoreError("EXECUTION_ERROR", message.slice(0, 1_000), {
    phase: "output",
    retryable: false,
    cause,
  });
}
