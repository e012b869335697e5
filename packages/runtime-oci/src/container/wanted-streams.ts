import { LongshoreError, type AttachRequest, type ProcessSpec } from "@longshore/core";
import type { WantedStreams } from "../monitor/session.ts";

/** The streams that an attach asks for. @throws {LongshoreError} `VALIDATION_ERROR` for an input that is not there */
export function wantedStreams(
  { stdin: hasInput, tty }: ProcessSpec,
  request: Omit<AttachRequest, "containerId">,
): WantedStreams {
  const { stdin = false, stdout = true, stderr = !tty } = request;
  if (stdin && !hasInput) {
    throw new LongshoreError("VALIDATION_ERROR", "The container was made without an input.", {
      details: { field: "stdin" },
    });
  }
  return { stdin, stdout, stderr };
}
