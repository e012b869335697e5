import { LongshoreError } from "../errors/longshore-error.ts";
import type { JobRuntime } from "../job/job-document.ts";
import { parseDocument, visit } from "yaml";
import type { CapturedOutput } from "./bounded-output.ts";

/** The parser takes microseconds for each character, in which the worker does nothing else. */
const maxYamlLength = 262_144;

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
        return parseYaml(output.text);
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

function parseYaml(text: string): unknown {
  if (text.length > maxYamlLength) {
    throw new Error(`it has more than ${maxYamlLength} characters; JSON may have more`);
  }
  const document = parseDocument(text, {
    // Left to the library, both take time that grows with the square of the text: minutes for a mebibyte.
    uniqueKeys: false,
    prettyErrors: false,
    resolveKnownTags: false,
    logLevel: "error",
  });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) {
    throw new Error(`${problem.message} (at character ${problem.pos[0]})`);
  }
  visit(document, {
    Map(_key, { items }) {
      const keys = new Set<string>();
      for (const { key } of items) {
        const name = String(key);
        if (keys.has(name)) throw new Error(`the key ${name} is there twice`);
        keys.add(name);
      }
    },
  });
  return document.toJS({ maxAliasCount: 100 }) as unknown;
}

function outputError(message: string, cause?: unknown): LongshoreError {
  return new LongshoreError("EXECUTION_ERROR", message.slice(0, 1_000), {
    phase: "output",
    retryable: false,
    cause,
  });
}
