import { Readable } from "node:stream";
import {
  BoundedOutput,
  onLine,
  type AttachSession,
  type CapturedOutput,
  type HandlerContext,
  type OutputLimits,
} from "@longshore/core";

/** What a job prints, as far as it is kept. */
export interface JobOutput {
  readonly stdout: () => CapturedOutput;
  readonly stderr: () => CapturedOutput;
  /** Resolves when both streams have ended, also when they broke */
  readonly ended: Promise<void>;
}

/** Reads both streams at once, passes lines on, and keeps the beginning of each. */
export function jobOutput(
  context: HandlerContext,
  session: AttachSession,
  options: OutputLimits & { readonly logOutput: "lines" | "none" },
): JobOutput {
  const isText = (context.document.runtime?.output?.format ?? "text") === "text";
  const listen = (
    source: AsyncIterable<Uint8Array>,
    name: "stdout" | "stderr",
    maxBytes: number,
  ): { readonly output: BoundedOutput; readonly ended: Promise<void> } => {
    const stream = Readable.from(source, { objectMode: false });
    const ended = new Promise<void>((resolve) => {
      stream.once("close", resolve);
    });
    stream.on("data", () => {
      context.heartbeat();
    });
    if (options.logOutput === "lines" && (name === "stderr" || isText)) {
      onLine(stream, (line) => {
        context.log(line, { stream: name });
      });
    }
    return { output: new BoundedOutput(stream, maxBytes), ended };
  };
  const stdout = listen(session.stdout, "stdout", options.maxStdoutBytes);
  const stderr = listen(session.stderr, "stderr", options.maxStderrBytes);
  return {
    stdout: () => stdout.output.capture(),
    stderr: () => stderr.output.capture(),
    ended: Promise.all([stdout.ended, stderr.ended]).then(() => undefined),
  };
}
