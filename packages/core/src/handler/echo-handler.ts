import { defineHandler } from "./define-handler.ts";
import type { Handler } from "./handler.ts";

/** What `system.echo` returns. */
export interface EchoResult {
  /** The payload's data, unchanged */
  readonly echo: unknown;
  readonly message: string;
}

/** Returns what it is given: the smallest job there is, to try a worker with. */
export const echoHandler: Handler<unknown, EchoResult> = defineHandler({
  name: "echo",
  operations: ["system.echo", "test.echo"],
  execute(context, echo): EchoResult {
    context.progress({ phase: "validation", percent: 0, message: "payload received" });
    context.progress({ phase: "execution", percent: 50, message: "echoing" });
    context.progress({ phase: "completion", percent: 100, message: "done" });
    return { echo, message: `echo of ${context.jobId}` };
  },
});
